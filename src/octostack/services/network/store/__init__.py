# SPDX-License-Identifier: Apache-2.0
"""Every SQL statement of the network service.

`tables` are the tables, `rows` what is the same for all of them, `filters` what a query string and
a caller's scope become; `ports`, `networks`, ... hold what only one noun needs. Functions take a
transaction and give and take the values of `model.nouns`.
"""
