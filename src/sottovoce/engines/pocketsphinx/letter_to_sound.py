"""English letters to sounds by rule, for custom words that are not in the dictionary when no synthesiser is installed.

The rules follow the scheme that the US Naval Research Laboratory published in 1976 (report 7948, "Automatic Translation
of English Text to Phonetics by Means of Letter-to-Sound Rules"): at each position in a word, the first rule whose context
matches gives the sounds and the number of letters consumed. The table is this project's own, tuned on the CMU dictionary.
"""

import re
from functools import lru_cache

Phones = tuple[str, ...]
Rule = tuple[re.Pattern[str], int, Phones]  # pattern at the letter, letters consumed, sounds

MAX_LETTERS = 60
"""Letters of a word that are read; no English word is longer."""

# A rule is left(letters)right=sounds. In left and right, lower-case letters stand for themselves, capitals for classes:
_CLASSES = {
    "_": r"(?:^|$)",  # an end of the word
    "V": "[aeiouy]",  # a vowel
    "C": "[bcdfghjklmnpqrstvwxz]",  # a consonant
    "B": "[bdgjlmnrvwz]",  # a voiced one
    "F": "[eiy]",  # a vowel that softens c and g
    "L": "[tsrdlznj]",  # keeps a long u plain
    "E": "(?:ers?$|e[sd]?$|ings?$|ely$|eless$|ement)",  # an ending that keeps the vowel before it long
}

_TABLE = """
_(a)_=EY (a)wa=AH (augh)=AO (aigh)=EY (aw)=AO (au)=AO (ays)_=EY-Z (ay)=EY (aire)=EH-R (air)=EH-R (ais)_=EY-Z (ai)=EY
_(aa)=AA (aa)=AA (ae)=EY _(al)V=AH-L _C(al)k=AO (alk)=AO-K (al)d=AO-L (al)t=AO-L (all)_=AO-L (all)s_=AO-L C(alm)=AA-M
VC(al)_=AH-L V(al)_=AH-L VCC(al)_=AH-L VC(als)_=AH-L-Z VC(al)ly=AH-L VCC(al)ly=AH-L VC(al)i=AH-L VC(age)_=IH-JH
VCC(age)_=IH-JH VC(ages)_=IH-JH-IH-Z VCC(ages)_=IH-JH-IH-Z _(able)_=EY-B-AH-L _C(able)=EY-B-AH-L _CC(able)=EY-B-AH-L
(able)_=AH-B-AH-L (ably)_=AH-B-L-IY (ange)=EY-N-JH (aste)_=EY-S-T VC(ace)_=AH-S VC(ate)ly=AH-T (ation)=EY-SH-AH-N
(ating)_=EY-T-IH-NG (ated)_=EY-T-IH-D (ator)=EY-T-ER VCC(ard)_=ER-D VC(ard)_=ER-D VC(ards)_=ER-D-Z VC(ar)_=ER
VCC(ar)_=ER VC(ary)_=EH-R-IY VCC(ary)_=EH-R-IY _(arr)=ER (arr)V=EH-R _C(ar)V=EH-R _(are)_=AA-R (are)_=EH-R (ar)ia=EH-R
(ar)io=EH-R (ar)o=ER (ar)i=EH-R (ar)a=EH-R (ar)=AA-R VC(an)_=AH-N VCC(an)_=AH-N V(an)_=AH-N VC(ans)_=AH-N-Z
VC(ant)_=AH-N-T VC(ance)=AH-N-S VC(ancy)=AH-N-S-IY VCC(ant)_=AH-N-T VCC(ance)=AH-N-S VC(ants)_=AH-N-T-S
VC(and)_=AH-N-D VCC(and)_=AH-N-D VCC(as)_=AH-S VC(as)_=AH-S VC(am)_=AH-M VCC(am)_=AH-M V(a)_=AH C(a)_=AH w(a)s=AA
w(a)t=AA w(a)n=AA qu(a)l=AA qu(a)n=AA qu(a)r=AO (a)x=AE (a)sE=EY (a)CE=EY (a)stE=EY (a)bleE=EY (a)Cia=EY (a)Cio=EY
(a)Ciu=EY _C(a)CV=EY _(a)CC=AE _(a)gr=AH _(a)CV=AH VC(a)CV=AH (a)CC=AE (a)=AE
_(be)CV=B-IH (bb)=B m(b)_= m(b)s_= (b)t_= (bu)i=B (bu)y=B (b)=B
_(ch)r=K _(ch)l=K (cch)=K _(ch)or=K _s(ch)=K (ch)n=K (ch)r=K (ch)=CH (ck)=K _(cz)=CH (cci)=CH (cc)F=K-S (cc)=K
(cque)_=K s(c)F= (cia)=SH-AH (ciou)=SH-AH (cie)n=SH-AH (cion)=SH-AH-N (cqu)=K-W (c)F=S (cs)_=K-S (c)=K
(tch)=CH s(tion)=CH-AH-N (tion)=SH-AH-N (tian)=SH-AH-N (tia)=SH-AH (tiou)=SH-AH (tien)=SH-AH-N (tth)=TH (ther)=DH-ER
(thm)=DH-AH-M (the)_=DH (thing)_=TH-IH-NG V(th)ing=DH (th)=TH (tz)=T-S (tsch)=CH (ture)=CH-ER (turing)=CH-ER-IH-NG
(turer)=CH-ER-ER (tural)=CH-ER-AH-L (tua)=CH-UW-AH (tu)ou=CH-UW (tt)=T d(ted)_=T-IH-D (ted)_=T-IH-D (t)=T
(dge)_=JH (dg)F=JH (dd)=D (dua)=JH-UW-AH (du)ca=JH-AH (dj)=JH _(de)CV=D-IH (dt)=T (d)=D
_C(ed)_=EH-D _CC(ed)_=EH-D t(ed)_=IH-D d(ed)_=IH-D p(ed)_=T k(ed)_=T f(ed)_=T x(ed)_=T ss(ed)_=T sh(ed)_=T ch(ed)_=T
c(ed)_=T (ed)_=D (eau)=OW (eigh)=EY (ear)n=ER (ear)l=ER (ear)ch=ER (ear)th=ER (eard)=IH-R-D h(ear)t=AA-R (ear)=IH-R
(ead)_=EH-D (ealth)=EH-L-TH (eath)_=EH-TH (eather)=EH-DH-ER (easure)=EH-ZH-ER r(ea)l=IY-AH _C(eat)V=IY-T
(eater)=IY-T-ER VC(ea)_=IY-AH (ea)=IY (eer)=IH-R (ee)=IY (eir)=EH-R _(eisen)=AY-Z-AH-N (ein)=AY-N (eich)=AY-K (ei)s=AY
(ei)d=AY (ei)l=AY (ei)=IY (eu)r=Y-UH-R (eu)=Y-UW (eye)=AY (ey)_=IY (eys)_=IY-Z (ey)=EY L(ew)=UW r(ew)=UW (ew)=Y-UW
_(eo)=IY-AA (eo)n=IY-AH (eo)=IY-OW (elle)_=EH-L (ette)_=EH-T (erre)_=EH-R (esse)_=EH-S (esque)_=EH-S-K (eless)_=L-AH-S
(eness)_=N-AH-S (ement)_=M-AH-N-T (ements)_=M-AH-N-T-S (eful)_=F-AH-L (efully)=F-AH-L-IY (ely)_=L-IY VC(ery)_=ER-IY
VCC(ery)_=ER-IY (err)V=EH-R _C(er)V=EH-R _C(ere)_=IH-R (eri)a=IH-R-IY (eri)o=IH-R-IY VC(er)V=ER VCC(er)V=ER (er)V=EH-R
(er)=ER VC(en)_=AH-N VCC(en)_=AH-N VC(ens)_=AH-N-Z VCC(ens)_=AH-N-Z VC(ent)_=AH-N-T VCC(ent)_=AH-N-T
VC(ents)_=AH-N-T-S VCC(ents)_=AH-N-T-S VC(ence)=AH-N-S VCC(ence)=AH-N-S VC(ency)=AH-N-S-IY VCC(ency)=AH-N-S-IY
VC(ened)_=AH-N-D VC(ening)=AH-N-IH-NG VC(el)_=AH-L VCC(el)_=AH-L VC(els)_=AH-L-Z VCC(els)_=AH-L-Z VC(eled)_=AH-L-D
VC(et)_=AH-T VCC(et)_=AH-T VC(ets)_=AH-T-S VCC(ets)_=AH-T-S VC(em)_=AH-M (ess)_=AH-S t(es)_=S p(es)_=S k(es)_=S
s(es)_=IH-Z x(es)_=IH-Z z(es)_=IH-Z sh(es)_=IH-Z ch(es)_=IH-Z VC(es)_=Z VCC(es)_=Z C(es)_=Z V(es)_=Z _C(e)_=IY
_CC(e)_=IY V(e)_= VC(e)_= C(e)_= VC(e)ly= _(ex)V=IH-G-Z _(ex)h=IH-G-Z _(ex)=IH-K-S _(e)CV=IH _(en)C=EH-N _(em)C=EH-M
(e)CE=IY (e)Cia=IY (e)Ciu=IY (ev)er=EH-V VC(e)CV=AH VCC(e)CV=AH _C(e)CV=EH (e)=EH _b(er)g=ER
(fying)_=F-AY-IH-NG (ff)=F (f)=F (fy)_=F-AY
(gge)=G-ER (gg)=G _(gh)=G V(ght)=T V(gh)_= V(ghs)_=Z V(gh)C= (gh)=G _(gn)=N (gn)_=N (gns)_=N-Z (gned)_=N-D (gi)a=JH-AH
(gio)=JH-AH (geo)n=JH-AH _(ge)o=JH-IY (gua)=G-W-AA (gu)F=G (gue)_=G (gues)_=G-Z r(ger)_=G-ER n(ger)_=G-ER _(g)et=G
_(g)i=G _(gy)=JH-IH r(g)_=G e(g)el=G (g)F=JH (g)=G
_(ho)n_=HH-AA _(hour)=AW-ER _(heir)=EH-R _(honor)=AA-N-ER (h)_= (h)V=HH (h)=
_(i)_=AY _(i)deo=AY _(i)so=AY _(iro)n=AY-ER _(ire)=AY-R (iew)=Y-UW (igh)=AY (ign)_=AY-N (ignE)=AY-N (ique)_=IY-K
(ild)_=AY-L-D _C(ind)_=AY-N-D _CC(ind)_=AY-N-D _(in)C=IH-N (io)us=IY-AH (ied)_=IY-D (ies)_=IY-Z _CC(ies)_=AY-Z
_C(ies)_=AY-Z _C(ied)_=AY-D _CC(ied)_=AY-D _C(ie)_=AY (iest)_=IY-AH-S-T (iet)=AY-AH (ier)_=IY-ER (iers)_=IY-ER-Z
(ieve)=IY-V (ie)=IY VC(ine)_=IY-N (ising)_=AY-Z-IH-NG (izing)_=AY-Z-IH-NG (ization)=AH-Z-EY-SH-AH-N (ize)=AY-Z
VC(ice)_=AH-S VCC(ice)_=AH-S VC(ite)_=AY-T VC(ive)=IH-V VCC(ive)=IH-V VC(ile)_=AH-L (ism)_=IH-Z-AH-M
(isms)_=IH-Z-AH-M-Z (ist)_=IH-S-T (ia)l_=IY-AH (ia)n=IY-AH (ia)_=IY-AH (ia)s_=IY-AH _C(ia)=AY-AH (ia)t=IY-EY
(ia)=IY-AA (io)_=IY-OW (ios)_=IY-OW-Z _C(io)=AY-AH (io)n=IY-AH (io)=IY-OW (iu)m=IY-AH (iu)=IY-UW _C(i)V=AY (irr)=IH-R
(ires)_=AY-R-Z _C(ire)=AY-R _CC(ire)=AY-R (ire)_=AY-R (ir)V=IH-R (ir)=ER (ings)_=IH-NG-Z (ing)_=IH-NG (i)_=IY
(is)_=IH-S (i)x=IH VC(i)CE=AH _C(i)CE=AY _CC(i)CE=AY (i)CE=AY VC(i)CV=AH (i)=IH
(j)=JH
_(kn)=N (kh)=K (kk)=K (k)=K
VC(le)_=AH-L VCC(le)_=AH-L VC(les)_=AH-L-Z VCC(les)_=AH-L-Z VC(led)_=AH-L-D VCC(led)_=AH-L-D C(ler)_=L-ER
C(ling)_=L-IH-NG (ll)=L (l)=L
_(mc)c=M-AH-K _(mc)k=M-AH-K _(mc)=M-AH-K _(mac)C=M-AH-K (ment)_=M-AH-N-T (ments)_=M-AH-N-T-S VC(man)_=M-AH-N
V(man)_=M-AH-N (mm)=M (mn)_=M (m)=M
(nge)_=N-JH (nges)_=N-JH-IH-Z (nged)_=N-JH-D (nging)=NG-IH-NG (nger)_=NG-ER (ng)F=N-JH (ng)l=NG-G (ng)r=NG-G
(ngu)V=NG-G-W (ng)V=NG-G (ng)=NG (nk)=NG-K (nx)=NG-K-S (nc)t=NG-K (nqu)=NG-K-W (nn)=N (n)=N
_(one)=W-AH-N _(oo)=UW (ought)=AO-T (ough)=AH-F (oul)d=UH _(ou)=AW (ous)_=AH-S (ously)_=AH-S-L-IY
(ousness)=AH-S-N-AH-S (our)C=AO-R (our)_=AO-R (oux)_=UW (oup)=UW-P (ou)ble=AH (ou)is=UW-IY (ou)v=UW (ou)=AW (ook)=UH-K
(ood)_=UH-D (oor)=AO-R (oo)=UW (oa)r=AO (oa)=OW (oeu)=UW (oe)_=OW (oes)_=OW-Z (oe)=OW (oi)=OY (oy)=OY (ow)n_=AW
(ow)ns_=AW (ow)d=AW (ow)er=AW _C(ow)_=AW _h(ow)=AW (ow)l=AW (ow)=OW VC(or)_=ER VCC(or)_=ER VC(ors)_=ER-Z
VCC(ors)_=ER-Z w(or)C=ER (ory)_=AO-R-IY (orr)=AA-R (or)=AO-R (old)=OW-L-D (olk)=OW-K (oll)_=OW-L (olt)=OW-L-T
(olo)g=AA-L-AH (ologist)=AA-L-AH-JH-IH-S-T (ost)_=OW-S-T (ong)=AO-NG (oss)_=AO-S (oft)=AO-F-T VC(on)_=AH-N
VCC(on)_=AH-N VC(ons)_=AH-N-Z VCC(ons)_=AH-N-Z V(on)_=AH-N VC(om)_=AH-M _c(om)C=AH-M _c(on)C=AH-N _s(on)_=AH-N
(ove)=AH-V (over)=OW-V-ER _m(o)n=AH (other)=AH-DH-ER (o)x=AA (o)CE=OW (o)_=OW (os)_=OW-Z (o)Cia=OW (o)Cio=OW (o)sk=AO
(o)V=OW _(o)CV=OW _C(o)CV=AA VC(o)CV=AH VCC(o)CV=AH (o)=AA
(pph)=F _(pf)=F _(ph)=F (ph)=F _(ps)=S _(pn)=N (pp)=P (p)t_=P (p)=P
(quet)_=K-EY (que)_=K (ques)_=K-S (qu)F=K-W (quar)=K-W-AO-R (qu)=K-W (q)=K
_(rh)=R _(re)CV=R-IY (rrh)=R (rr)=R (r)=R
(sch)=SH (ssion)=SH-AH-N (sion)=ZH-AH-N l(sion)=SH-AH-N n(sion)=SH-AH-N (ssu)r=SH-UH (ssu)=SH-UW _(su)r=SH-UH
V(sur)e=ZH-ER (sh)=SH (sia)n=ZH-AH (sia)_=ZH-AH (sce)=S-EH (sci)=S-AY (sc)F=S (ss)=S V(se)_=Z V(sed)_=Z-D
V(ses)_=Z-IH-Z V(sing)_=Z-IH-NG V(ser)_=Z-ER is(s)=S (s)m_=Z i(s)V=S a(s)V=S V(s)V=Z B(s)_=Z Ve(s)_=Z V(s)_=S (st)le=S
(st)en_=S (sz)=SH (s)=S
_(uni)=Y-UW-N-IH _(un)=AH-N (uy)=AY g(u)F= g(u)a=W (ue)_=UW (ues)_=UW-Z (ui)=UW C(ur)C=ER (urr)=ER (ur)_=ER
_L(ur)V=UH-R r(ur)V=UH-R (ur)V=Y-UH-R (ur)=ER (us)_=AH-S (um)_=AH-M (ums)_=AH-M-Z (ull)=UH-L _p(u)t=UH _b(u)sh=UH
(u)CC=AH (u)C_=AH L(u)CE=UW r(u)CE=UW (u)CE=Y-UW L(u)V=UW ch(u)=UW j(u)=UW r(u)=UW L(u)C=UW _(u)C=Y-UW m(u)C=Y-UW
p(u)C=Y-UW c(u)C=Y-UW b(u)C=Y-UW f(u)C=Y-UW h(u)C=Y-UW VC(u)C=Y-AH (u)_=UW (u)=UW
(vv)=V (v)=V
_(who)_=HH-UW _(whol)=HH-OW-L _(wh)=W (wr)=R (war)=W-AO-R (wor)C=W-ER V(w)C= V(w)_= (w)=W
_(x)=Z (xc)F=K-S (x)iou=K-SH (x)=K-S
_(y)V=Y V(y)V=Y _C(y)_=AY _CC(y)_=AY (y)_=IY (ys)_=IY-Z (y)V=Y _C(y)CE=AY (y)CE=AY _(y)C=IH (yr)=ER _C(y)CV=AY (y)=IH
(zz)=Z (z)=Z
"""


@lru_cache(maxsize=1)
def _rules() -> dict[str, tuple[Rule, ...]]:
    """Return the rules by first letter, in the order of the table."""
    found: dict[str, list[Rule]] = {}
    for text in _TABLE.split():
        context, _, sounds = text.partition("=")
        left, letters, right = re.split("[()]", context)
        before, after = ("".join(_CLASSES.get(mark, mark) for mark in side) for side in (left, right))
        pattern = re.compile(f"(?<={before}){letters}(?={after})")
        phones = tuple(sounds.split("-")) if sounds else ()
        found.setdefault(letters[0], []).append((pattern, len(letters), phones))
    return {letter: tuple(rules) for letter, rules in found.items()}


def pronounce(word: str) -> Phones:
    """Return the ARPAbet sounds (without stress) of an English *word*; characters other than a-z and A-Z are ignored."""
    word = re.sub("[^a-z]", "", word.lower())[:MAX_LETTERS]
    rules = _rules()
    sounds: list[str] = []
    at = 0
    while at < len(word):
        used, phones = next((n, heard) for pattern, n, heard in rules[word[at]] if pattern.match(word, at))
        sounds += (phone for phone in phones if not sounds or phone != sounds[-1] or phone in phones[1:])
        at += used
    return tuple(sounds)
