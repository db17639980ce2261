"""Paints a whole network as one job over a store, grades it, and publishes it as a page to explore.

From below: `store` keeps bytes safely, `records` says what an atlas's store holds, `page` shows it, `job` makes it and
`server` serves it.
"""
