# SPDX-License-Identifier: Apache-2.0
"""JSON in and out: what each version of the API takes, and what it shows.

Bodies are JSON schemas as data, newest version first. Views are functions of a model and a
version; nothing outside this package asks for a version to shape an answer.
"""
