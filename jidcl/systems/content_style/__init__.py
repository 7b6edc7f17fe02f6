"""Do pairs that share content isolate it from style?

von Kuegelgen, Sharma, Gresele, Brendel, Schoelkopf, Besserve, Locatello 2021.
"""
