"""The codes that multilingual translation models use for the contract's languages.

NLLB names language and script (FLORES-200); MADLAD puts a token such as `<2de>` before the text.
"""

from collections.abc import Mapping

_NLLB = """
ar arb_Arab  be bel_Cyrl  bg bul_Cyrl  bn ben_Beng  ca cat_Latn  cmn zho_Hans  cs ces_Latn  cy cym_Latn  da dan_Latn
de deu_Latn  el ell_Grek  en eng_Latn  eo epo_Latn  es spa_Latn  et est_Latn  eu eus_Latn  fa pes_Arab  fi fin_Latn
fr fra_Latn  ga gle_Latn  gl glg_Latn  he heb_Hebr  hi hin_Deva  hr hrv_Latn  hu hun_Latn  id ind_Latn  it ita_Latn
ja jpn_Jpan  ko kor_Hang  lt lit_Latn  lv lvs_Latn  mn khk_Cyrl  mr mar_Deva  ms zsm_Latn  mt mlt_Latn  nl nld_Latn
nn nno_Latn  no nob_Latn  pl pol_Latn  pt por_Latn  ro ron_Latn  ru rus_Cyrl  sk slk_Latn  sl slv_Latn  sv swe_Latn
sw swh_Latn  ta tam_Taml  th tha_Thai  tl tgl_Latn  tr tur_Latn  ug uig_Arab  uk ukr_Cyrl  ur urd_Arab  vi vie_Latn
yue yue_Hant
"""
NLLB_CODES: Mapping[str, str] = dict(zip(_NLLB.split()[::2], _NLLB.split()[1::2], strict=True))
"""NLLB's codes by those of the contract."""

_OTHER_NAMES = {"cmn": "zh", "tl": "fil"}
MADLAD_CODES: Mapping[str, str] = {code: f"<2{_OTHER_NAMES.get(code, code)}>" for code in NLLB_CODES}
"""MADLAD's tokens by the codes of the contract."""
