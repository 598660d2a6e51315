"""Words that carry no topic, in English and some other languages: they are left out before words are counted."""

_ENGLISH = """
a about above actually after again against ago ah all almost alone along already alright also although always am among an and
another any anyone anything anyway are aren't around as ask asked at away back basically be became because become been before
being below between both but by came can can't cannot come comes coming could couldn't course did didn't do does doesn't doing
don't done down each either else enough er even ever every everybody everyone everything exactly far few first for from get
gets getting give given go goes going gone gonna good got great guess had hadn't happen happened has hasn't have haven't
having he he'd he'll he's hello her here here's hers herself hey hi him himself his hm how i i'd i'll i'm i've if in instead
into is isn't it it'd it'll it's its itself just keep kind knew know known knows last least less let let's like little long
look looking lot lots made make makes making many may maybe me mean might mine more most much must my myself need needed needs
never new next no nobody none not nothing now of off often oh ok okay on once one ones only onto or other others our ours
ourselves out over own part people perhaps please pretty probably put quite rather really right said same saw say saying says
second see seen she she'd she'll she's should shouldn't since so some somebody someone something sometimes sort still stuff
such sure take taken takes taking talk talked talking tell than thank thanks that that's that'll the their theirs them
themselves then there there's these they they'd they'll they're they've thing things think thinking this those though thought
three through time times to today together told too took try trying two uh um under until up upon us use used using very want
wanted wants was wasn't way we we'd we'll we're we've well went were weren't what what's whatever when where whether which
while who who's whole whom whose why will with within without won't would wouldn't yeah year years yes yet you you'd you'll
you're you've your yours yourself
"""
_OTHERS = """
der die das und ist nicht ein eine einen einem einer ich du er sie es wir ihr zu den dem des auf mit für von im in an auch als wie
aber oder wenn dass war sind hat haben wird werden noch nur so sich bei nach aus dann da hier
el la los las un una unos unas y o que de del en con por para no se es son fue ha han su sus lo le al como más pero si sí ya
le les des du et est dans pour pas que qui sur avec ce cette ces il elle nous vous ils elles je tu au aux plus ne son sa ses
il lo gli un uno una e di del della che non per con si è sono ha come più ma anche nel nella
o os um uma do da dos das em no na nos nas por para com não se é são foi mais mas como
de het een en van ik je dat die in op te zijn met voor niet is er maar om ook aan
"""
STOP_WORDS = frozenset(_ENGLISH.split()) | frozenset(_OTHERS.split())
