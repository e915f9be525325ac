# SPDX-License-Identifier: Apache-2.0
"""Runs in the clients' environment: command lines and SDK scripts from standard input.

Nothing of the clients is changed; each command logs in and is parsed as if it were started anew.
"""

import contextlib
import importlib.util
import io
import json
import logging
import os
import pty
import sys
import traceback


def _forget_clients():
    """A process of its own would start without the clients of the login before."""
    from openstackclient.common.clientmanager import ClientManager
    from osc_lib.clientmanager import ClientCache

    for kind in ClientManager.__mro__:
        for cache in vars(kind).values():
            if isinstance(cache, ClientCache):
                cache._handle = None


def _openstack(argv):
    from openstackclient import shell  # the import is what this process saves

    _forget_clients()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(argv)
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
    for handler in list(logging.getLogger("").handlers):
        logging.getLogger("").removeHandler(handler)
    return {"code": int(code or 0), "out": out.getvalue(), "err": err.getvalue()}


def _sdk(path, function, cloud):
    import openstack

    spec = importlib.util.spec_from_file_location("sdk_script", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            connection = openstack.connect(cloud=cloud)
            getattr(script, function)(connection)
            connection.close()
    except Exception:  # whatever a script meets goes back to the test as text
        return {"trace": traceback.format_exc()}
    return {"trace": ""}


def main():
    """Answer requests until standard input ends."""
    answers = sys.stdout
    requests = os.fdopen(os.dup(0))
    _, terminal = pty.openpty()  # commands see a terminal, where nobody types
    os.dup2(terminal, 0)
    for line in requests:
        request = json.loads(line)
        kind = request.pop("kind")
        answer = _openstack(**request) if kind == "openstack" else _sdk(**request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
