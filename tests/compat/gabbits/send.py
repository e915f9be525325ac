# SPDX-License-Identifier: Apache-2.0
"""Sends the requests of OpenStack Placement's functional tests to another Placement.

`python send.py URL [FILE]...`, in the environment that has Placement. Each file of requests starts
from a fixture of theirs, run as it is, except that what it writes into Placement's tables goes
through the API at URL; a POST to URL/anew gives an empty one first. A line of JSON for each test.
"""

import json
import sys
import tempfile
import types
import unittest
import uuid
from pathlib import Path

import httpx
from gabbi import driver
from placement import policies, tests
from placement.tests.functional.fixtures import gabbits

FILES = Path(tests.__file__).parent / "functional" / "gabbits"
HEADERS = {"x-auth-token": "admin", "openstack-api-version": "placement 1.36"}


class Provider:
    """What fixtures do with a provider that they made."""

    def __init__(self, api, id_):
        self.api, self.uuid = api, id_

    def put(self, what, body):
        """Replace one of its parts."""
        self.api.ask("PUT", f"/resource_providers/{self.uuid}/{what}", body | self.generation())

    def generation(self):
        """As it stands in a body."""
        found = self.api.ask("GET", f"/resource_providers/{self.uuid}")
        return {"resource_provider_generation": found["generation"]}

    def set_aggregates(self, aggregates):
        """Be in these."""
        self.put("aggregates", {"aggregates": list(aggregates)})


class Api:
    """The functions that the fixtures write with, by their names there."""

    def __init__(self, url):
        self.http = httpx.Client(base_url=url, headers=HEADERS, timeout=60)

    def ask(self, method, path, body=None):
        """A request that must succeed."""
        answer = self.http.request(method, path, json=body)
        assert answer.status_code < 300, (method, path, body, answer.text)
        return answer.json() if answer.content else None

    def create_provider(self, _context, name, *aggregates, uuid=None, parent=None):
        """A provider below `parent`."""
        body = {"name": name, "uuid": uuid or new_id()}
        self.ask(
            "POST",
            "/resource_providers",
            body | ({"parent_provider_uuid": parent} if parent else {}),
        )
        made = Provider(self, body["uuid"])
        if aggregates:
            made.set_aggregates(aggregates)
        return made

    def add_inventory(self, provider, resource_class, total, **more):
        """An inventory of one class, which is made if it is the fixture's own."""
        if resource_class.startswith("CUSTOM_"):
            self.ask("PUT", f"/resource_classes/{resource_class}")
        found = self.ask("GET", f"/resource_providers/{provider.uuid}/inventories")["inventories"]
        found[resource_class] = {"total": total, "max_unit": total, **more}
        provider.put("inventories", {"inventories": found})

    def set_traits(self, provider, *traits):
        """These and no others."""
        for trait in traits:
            if trait.startswith("CUSTOM_"):
                self.ask("PUT", f"/traits/{trait}")
        provider.put("traits", {"traits": list(traits)})

    def ensure_consumer(self, _context, user, project, consumer_id=None):
        """Who claims; it is written with its first claim."""
        return types.SimpleNamespace(uuid=consumer_id or new_id(), user=user, project=project)

    def create_user_and_project(self, _context, prefix="fake"):
        """Names of both."""
        return (
            types.SimpleNamespace(external_id=f"{prefix}-{what}") for what in ("user", "project")
        )

    def set_allocation(self, _context, provider, consumer, resources):
        """A claim."""
        body = {
            "allocations": {provider.uuid: {"resources": resources}},
            "user_id": consumer.user.external_id,
            "project_id": consumer.project.external_id,
            "consumer_generation": None,
        }
        self.ask("PUT", f"/allocations/{consumer.uuid}", body)


class Results(unittest.TestResult):
    """Tells each test's end as it comes."""

    def addSuccess(self, test):
        self.tell(test, "pass")

    def addFailure(self, test, err):
        self.tell(test, "fail", str(err[1]))

    def addSkip(self, test, reason):
        self.tell(test, "skip", reason)

    addError = addFailure

    def addExpectedFailure(self, test, _err):
        self.tell(test, "pass")  # their own list of what does not work with them either

    def tell(self, test, status, why=""):
        """One line."""
        name = test.id().removeprefix("g.").removesuffix(".test_request")
        reason = " ".join(why.split())[:300]
        print(json.dumps({"test": name, "status": status, "reason": reason}), flush=True)


def new_id():
    """An id that nothing has."""
    return str(uuid.uuid4())


def install(url):
    """Their fixtures on the Placement at `url`."""
    api = Api(url)
    gabbits.tb = api
    gabbits.rc_obj.ResourceClass.create = lambda self: api.ask(
        "PUT", f"/resource_classes/{self.name}"
    )
    start = gabbits.APIFixture.start_fixture

    def start_fixture(self):
        opened = isinstance(self, gabbits.OpenPolicyFixture)
        names = [rule.name for rule in policies.list_rules() if opened and ":" in rule.name]
        rules = "".join(f'"{name}": "@"\n' for name in names)
        api.http.post("/anew", content=rules).raise_for_status()
        start(self)

    gabbits.APIFixture.start_fixture = start_fixture


def main():
    """Send what was asked for, or everything."""
    url, *names = sys.argv[1:]
    install(url)
    parts = httpx.URL(url)
    with tempfile.TemporaryDirectory() as directory:
        for file in FILES.iterdir():
            if not names or file.name.removesuffix(".yaml") in names:
                (Path(directory) / file.name).symlink_to(file)
        suite = driver.build_tests(
            directory, unittest.TestLoader(), host=parts.host, port=parts.port,
            test_loader_name="g", fixture_module=gabbits,
        )  # fmt: skip
        suite.run(Results())


main()
