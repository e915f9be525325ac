# SPDX-License-Identifier: Apache-2.0
"""Identity: who is asking, what they may do, and where everything is (Keystone's v3 API).

A login (`api/tokens.issue`) runs so: the schema refuses a malformed body; `api/login` finds the
user by password, token or application credential (the hash runs in a thread) and turns the wanted
scope into a target; `store/assignments` and `core/roles` give the roles there;
`core/payload` packs the facts, `core/fernet` seals them. Nothing of a token is stored. A check of
a token runs the same way backwards, then asks `store/revocations` whether an event since its issue
cancels it; other services keep the answer until `contracts.identity.Identity.changes` says that
something they depend on has changed.

Read first: `model.py` (the nouns), `routes.py` (all there is), `core/roles.py` (the one rule that
decides who may what), `api/validate.py` (what makes a token good).
"""
