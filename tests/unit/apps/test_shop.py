"""apps/shop: the same three features in one process and in three, with the same faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .program import Program

MUG = {"sku": "mug", "quantity": 2}


def shop(*features: str, **environment: str) -> Program:
    return Program("shop", "-m", "shop", *features, **environment)


@contextmanager
def services() -> Iterator[dict[str, Program]]:
    with (
        shop("catalog") as catalog,
        shop("payments") as payments,
        shop("orders", CATALOG_URL=catalog.url, PAYMENTS_URL=payments.url) as orders,
    ):
        yield {"catalog": catalog, "orders": orders, "payments": payments}


def test_the_monolith_has_all_features_in_one_process():
    with shop() as app:
        assert app.get("/")[1]["features"] == ["catalog", "orders", "payments"]
        assert app.get("/")[1]["memory_bytes"] > 5_000_000
        status, order = app.post("/orders", MUG)
        assert (status, order["paid_cents"]) == (201, 1980)
        assert app.get("/orders")[1]["count"] == app.get("/payments")[1]["count"] == 1


def test_as_services_each_process_has_one_feature_and_asks_the_others():
    with services() as apps:
        assert apps["orders"].post("/orders", MUG) == (
            201,
            {"number": 1, "sku": "mug", "quantity": 2, "paid_cents": 1980},
        )
        assert apps["payments"].get("/payments")[1] == {"count": 1, "total_cents": 1980}
        assert apps["catalog"].get("/orders")[0] == 404


def test_a_crash_of_payments_takes_the_monolith_but_only_payments_of_the_services():
    with shop() as monolith:
        assert monolith.post("/fault/payments/crash")[0] == 202
        assert monolith.process.wait(timeout=5) == 1
    with services() as apps:
        apps["payments"].post("/fault/payments/crash")
        apps["payments"].process.wait(timeout=5)
        assert apps["catalog"].get("/catalog")[0] == apps["orders"].get("/orders")[0] == 200
        status, body = apps["orders"].post("/orders", MUG)
        assert status == 502 and body["error"].startswith("payments: no answer")


def test_a_deadlock_of_payments_uses_up_the_workers_that_all_features_of_a_process_share():
    with shop() as monolith:
        monolith.post("/fault/payments/deadlock")
        for _ in range(8):
            with pytest.raises(TimeoutError):
                monolith.get("/payments", timeout=0.1)
        with pytest.raises(TimeoutError):
            monolith.get("/catalog", timeout=0.3)
    with services() as apps:
        apps["payments"].post("/fault/payments/deadlock")
        assert apps["orders"].post("/orders", MUG)[0] == 502  # it waits a second, then gives up
        assert apps["catalog"].get("/catalog")[0] == 200


def test_an_error_reaches_whoever_depends_on_the_feature_in_both_forms():
    with shop() as monolith, services() as apps:
        monolith.post("/fault/catalog/error")
        apps["catalog"].post("/fault/catalog/error")
        assert monolith.get("/catalog")[0] == apps["catalog"].get("/catalog")[0] == 500
        assert monolith.post("/orders", MUG)[0] in (500, 502)
        assert apps["orders"].post("/orders", MUG)[0] == 502
        assert monolith.get("/payments")[0] == 200
        monolith.post("/fault/catalog/recover")
        assert monolith.post("/orders", MUG)[0] == 201


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/orders", {"sku": "anchor"}, 400),
        ("/orders", {"sku": "mug", "quantity": 0}, 400),
        ("/orders", {"sku": "mug", "quantity": "two"}, 400),
        ("/payments", {}, 400),
        ("/catalog", {}, 405),
        ("/fault/catalog/nonsense", {}, 404),
        ("/fault/nothing/crash", {}, 404),
    ],
)
def test_bad_requests_are_refused(path: str, body: dict, status: int):
    with shop() as app:
        answer = app.post(path, body)
        assert answer[0] == status and answer[1]["error"]


def test_a_service_that_is_not_told_where_the_others_are_says_so():
    with shop("orders") as app:
        assert "$CATALOG_URL" in app.post("/orders", MUG)[1]["error"]


def test_an_unknown_feature_is_refused_at_the_start():
    with shop("shipping") as app:
        assert app.process.wait(timeout=5) == 2
        assert "no such feature: shipping" in "".join(app.lines)
