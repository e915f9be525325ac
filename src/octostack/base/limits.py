# SPDX-License-Identifier: Apache-2.0
"""Bounds that hold everywhere; a bound that belongs to one API stands in that service's schema."""

BODY_BYTES_MAX = 1 << 20  # JSON request bodies; a user_data of 64 KiB in base64 fits many times
HEADER_BYTES_MAX = 64 << 10
PAGE_MAX = 1000
QUEUE_MAX = 1024
CALL_TIMEOUT_S = 60.0
READ_TIMEOUT_S = 60.0  # the longest silence within a request body
READ_BYTES_MIN = 4096  # less than this in that time is silence
LINGER_TIMEOUT_S = 5.0  # how long the rest of a request is read that was answered already
WRITE_TIMEOUT_S = 60.0  # how long a client may take nothing of an answer
HEAD_TIMEOUT_S = 20.0  # for the whole head of a request
CONNECTIONS_MAX = 4096
