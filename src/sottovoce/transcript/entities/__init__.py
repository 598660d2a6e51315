"""Entities: numbers, money, dates, addresses and the like, as they are written (contract §7.4). Pure, table-driven.

`find` returns spans over items, which keep their times; `items.py` makes transcript items of them. The rules read tokens
(`tokens.py`) and the tables of a language (`languages/`). No rule looks further than it notes in its reader, so the result
for a growing list of words is stable before `Found.open_from`.
"""
