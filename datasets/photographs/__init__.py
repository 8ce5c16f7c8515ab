"""From a folder of photographs to aligned faces with coefficients; `preprocess_data.py` is its command.

`files` names the photographs, `reading` decodes them, `detection` finds faces, `placement` fits poses to landmarks, and
`preparing` does one photograph. `workers` (or `beam`) does many, `journal` remembers what is done, `dataset` writes the
records and `report` the pages that show the status of each.
"""
