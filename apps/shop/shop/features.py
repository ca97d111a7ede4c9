"""The three features of the shop. Which process each runs in is not their business: they ask through `peers`.

GET  /catalog  /catalog/SKU     what can be bought
GET  /orders   POST /orders     {"sku": "mug", "quantity": 2}: asks the catalog for the price, payments for the money
GET  /payments POST /payments   {"amount_cents": 1980}
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from .faults import Faults

if TYPE_CHECKING:
    from .peers import Peers

FEE_CENTS = 0  # what payments adds to each charge: the one line that chapter 1 changes and redeploys
KEPT = 1000  # orders and charges remembered, in memory

Answer = tuple[int, dict[str, Any]]


class BadRequest(Exception):
    """The request cannot be carried out as it stands."""


class Feature:
    """One part of the shop: `answer()` is all that others see of it, in this process or in another."""

    name: str

    def __init__(self, peers: Peers) -> None:
        self.peers = peers
        self.faults = Faults(self.name)

    def answer(self, method: str, rest: str, body: dict[str, Any]) -> Answer:
        """`rest` is the path below `/NAME`. FeatureFailed, BadRequest and PeerFailed become 500, 400 and 502."""
        self.faults.pass_through()
        if method == "GET":
            return self.get(rest)
        if method == "POST" and not rest:
            return self.post(body)
        return 405, {"error": f"{method} /{self.name}/{rest} is not offered"}

    def get(self, rest: str) -> Answer:
        return 405, {"error": f"GET /{self.name} is not offered"}

    def post(self, body: dict[str, Any]) -> Answer:
        return 405, {"error": f"POST /{self.name} is not offered"}


class Catalog(Feature):
    name = "catalog"
    items: ClassVar = {
        "mug": {"sku": "mug", "name": "Mug with a helm on it", "price_cents": 990},
        "shirt": {"sku": "shirt", "name": "Shirt: it works on my cluster", "price_cents": 2490},
        "sticker": {"sku": "sticker", "name": "Sticker, set of seven", "price_cents": 350},
    }

    def get(self, rest: str) -> Answer:
        if not rest:
            return 200, {"items": list(self.items.values())}
        if rest not in self.items:
            return 404, {"error": f"no such item: {rest}"}
        return 200, self.items[rest]


class Orders(Feature):
    name = "orders"

    def __init__(self, peers: Peers) -> None:
        super().__init__(peers)
        self.numbers = itertools.count(1)
        self.orders: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def get(self, rest: str) -> Answer:
        return 200, {"count": len(self.orders), "latest": list(self.orders)[-5:]}

    def post(self, body: dict[str, Any]) -> Answer:
        sku, quantity = str(body.get("sku", "")), body.get("quantity", 1)
        if not isinstance(quantity, int) or not 1 <= quantity <= 100:
            raise BadRequest(f"quantity must be a whole number from 1 to 100, not {quantity!r}")
        item = self.peers.ask("catalog", "GET", f"/catalog/{sku}")
        paid = self.peers.ask("payments", "POST", "/payments", {"amount_cents": quantity * item["price_cents"]})
        order = {"number": next(self.numbers), "sku": sku, "quantity": quantity, "paid_cents": paid["charged_cents"]}
        self.orders.append(order)
        return 201, order


class Payments(Feature):
    name = "payments"

    def __init__(self, peers: Peers) -> None:
        super().__init__(peers)
        self.charges: deque[int] = deque(maxlen=KEPT)

    def get(self, rest: str) -> Answer:
        return 200, {"count": len(self.charges), "total_cents": sum(self.charges)}

    def post(self, body: dict[str, Any]) -> Answer:
        amount = body.get("amount_cents")
        if not isinstance(amount, int) or amount <= 0:
            raise BadRequest(f"amount_cents must be a whole number above 0, not {amount!r}")
        self.charges.append(amount + FEE_CENTS)
        return 201, {"charged_cents": amount + FEE_CENTS}


FEATURES: dict[str, type[Feature]] = {feature.name: feature for feature in (Catalog, Orders, Payments)}
