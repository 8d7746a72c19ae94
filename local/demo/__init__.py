"""The main job, played through the deployed system: ``python -m local.demo``.

`story` says what happens, `player` makes it happen through the API, the files and the machines,
`digest` proves that a second telling changes nothing, `screen` shows it to a person.
"""
