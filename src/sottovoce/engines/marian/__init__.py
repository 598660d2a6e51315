"""Translation models in CTranslate2 form: OPUS-MT (Marian), NLLB and MADLAD."""
