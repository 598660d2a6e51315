"""Texts of the bench of translation. The pairs were written for it by one person; so were the English texts of the clips, from the
transcripts that come with them.
"""

PAIRS: tuple[tuple[str, str], ...] = (
    ("The meeting starts at nine o'clock on Tuesday.", "La reunión empieza a las nueve el martes."),
    ("My order has not arrived yet.", "Mi pedido no ha llegado todavía."),
    ("Could you send me the invoice, please?", "¿Podría enviarme la factura, por favor?"),
    ("We have lived in this house for ten years.", "Hemos vivido en esta casa durante diez años."),
    ("The doctor said that I should drink more water.", "El médico dijo que debería beber más agua."),
    ("She works in a small company in Madrid.", "Ella trabaja en una pequeña empresa en Madrid."),
    ("It is going to rain tomorrow morning.", "Va a llover mañana por la mañana."),
    ("The train was late and we missed our flight.", "El tren llegó tarde y perdimos nuestro vuelo."),
    ("I would like a table for two people.", "Quisiera una mesa para dos personas."),
    ("The new version is faster than the old one.", "La nueva versión es más rápida que la antigua."),
    ("They are looking for a cheaper apartment.", "Están buscando un apartamento más barato."),
    ("The government announced new rules yesterday.", "El gobierno anunció nuevas reglas ayer."),
    ("He forgot to close the window.", "Olvidó cerrar la ventana."),
    ("My daughter is learning to play the piano.", "Mi hija está aprendiendo a tocar el piano."),
    ("The price of oil has risen again.", "El precio del petróleo ha subido otra vez."),
    ("You can pay with your card or in cash.", "Puede pagar con su tarjeta o en efectivo."),
    ("The museum is closed on Mondays.", "El museo está cerrado los lunes."),
    ("We need more time to finish this project.", "Necesitamos más tiempo para terminar este proyecto."),
    ("The children are playing in the garden.", "Los niños están jugando en el jardín."),
    ("I did not understand the last question.", "No entendí la última pregunta."),
)
"""English and Spanish."""

CLIPS: tuple[tuple[str, str, str], ...] = (
    (
        "speechmatics/fr_fr_000378.wav",
        "fr",
        "The outer part that we see when we look at the sun is called the photosphere, which means ball of light.",
    ),
    (
        "speechmatics/de_de_000675.wav",
        "de",
        "Entering southern Africa by car is an amazing way to see all the region's beauty and places off the tourist routes.",
    ),
    (
        "speechmatics/es_419_000896.wav",
        "es",
        (
            "It is essential that you have at least footwear with suitable soles. Summer shoes usually slip a lot on ice and snow, "
            "and even some winter boots are not suitable."
        ),
    ),
    (
        "speechmatics/cmn_hans_cn_000328.wav",
        "cmn",
        "Bobek was born in Zagreb, the capital of Croatia, and became famous while he played for Partizan Belgrade.",
    ),
)
"""Recordings below the folder of shared audio, their language, and what is said in English."""
