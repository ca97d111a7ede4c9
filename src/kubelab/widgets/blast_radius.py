"""Blast radius: the same blow to both forms of the shop under load; who loses requests, how many, for how long.

radius = BlastRadius(lab)                              # with monolith.yaml and microservices.yaml applied
radius.predict("deadlock", "same", "payments")         # whose customers lose more: monolith, microservices, same, none
radius.deal("deadlock", "payments"); radius.wait()     # or "crash", "error", "slow", "release"
print(radius.table()); radius.score()

A button is locked until its blow to the chosen module was predicted; code may deal what it likes.
"""

from __future__ import annotations

from typing import Any

import traitlets

from kubelab.course import blast_prediction
from kubelab.course.blast import FAULTS, FORMS, MODULES, Blow, app_of, memory
from kubelab.course.errors import LabError
from kubelab.course.lab import Lab
from kubelab.course.load import Load
from kubelab.course.tables import Table

from .frame import LabWidget, script, style

REMEMBERED = 60  # requests in a strip
LABELS = {
    "deadlock": "Deadlock",
    "crash": "Crash",
    "error": "Exception",
    "slow": "Slow",
    "release": "Release a change",
}
EFFECTS = {
    "deadlock": "two threads of the module wait for each other for ever",
    "crash": "the process that the module lives in ends",
    "error": "every request to the module fails at once",
    "slow": "every request to the module takes 3 seconds",
    "release": "the module's new version goes out: its process is stopped, another is started",
}


class BlastRadius(LabWidget):
    """lab: of chapter 1, with both shops running."""

    _esm = script("blast_radius")
    _css = style("blast_radius")

    forms = traitlets.Dict({form: list(features) for form, features in FORMS.items()}).tag(sync=True)
    modules = traitlets.List(list(MODULES)).tag(sync=True)
    module = traitlets.Unicode("payments").tag(sync=True)
    buttons = traitlets.List().tag(sync=True)
    strips = traitlets.Dict().tag(sync=True)  # form -> feature -> {"answers": [true, …], "lost", "rate"}
    memory = traitlets.Dict().tag(sync=True)  # form -> MiB
    results = traitlets.List().tag(
        sync=True
    )  # {"what", "forms": {form: {"verdicts", "lost", "seconds"}}}, newest first

    question = traitlets.Dict().tag(sync=True)  # {"text", "options": [{"key", "text"}]}, the same for each blow
    given = traitlets.Dict().tag(sync=True)  # "blow/module" -> the answer's key: what unlocks the button
    verdict = traitlets.Dict().tag(sync=True)  # the newest score: `kubelab.course.predictions.Score.document`

    def __init__(self, lab: Lab) -> None:
        asked = blast_prediction.QUESTION
        options = [{"key": key, "text": text} for key, text in asked.options.items()]
        super().__init__(lab, f"Blast radius · {lab.namespace}", question={"text": asked.text, "options": options})
        self.observe(lambda _: self._draw_buttons(), ["module", "given"])
        self._draw_buttons()
        self.words = "Nothing has been dealt yet."

    def press(self, action: str, **_: Any) -> None:
        self.deal(action, self.module)

    def from_page(self, content: dict[str, Any]) -> None:
        if "predict" in content:
            self.predict(content["predict"], content.get("answer", ""), content.get("module", ""))
        elif self.locked(content.get("press", ""), self.module):
            self.said = "First say what will happen; then the button is unlocked."
        else:
            super().from_page(content)

    def locked(self, what: str, module: str) -> bool:
        """Whether a prediction is still due."""
        return what in LABELS and f"{what}/{module}" not in self.given

    def predict(self, what: str, answer: str, module: str = "payments") -> None:
        """Commit to what a blow to a module will do. LabError: there is no such blow, module or answer."""
        if what not in LABELS:
            raise LabError(f"there is no blow {what!r}; there are {', '.join(LABELS)}.")
        blast_prediction.check(module, answer)
        self.module = module
        self.given = {**self.given, f"{what}/{module}": answer}
        self.said = f"Prediction noted: {blast_prediction.QUESTION.options[answer]}."

    def score(self) -> None:
        """Print what became of the newest prediction, and why. LabError: none was given before a blow."""
        if not self.verdict:
            raise LabError('nothing was predicted and then dealt. Next: `radius.predict("deadlock", …)`.')
        print(self.verdict["text"])

    def deal(self, what: str, module: str = "payments") -> None:
        """Begin: load on both shops, and the same blow to the same module; `wait()` blocks until it is over."""
        blow = Blow(self.lab, what, module)
        self.module = module
        self.begin(lambda: self._deal(blow))

    def table(self) -> Table:
        """A row a blow and feature: what its customers saw in each form, in the same words in every run."""
        rows = []
        for result in reversed(self.results):
            for feature in next(iter(FORMS.values())):
                verdicts = [result["forms"][form]["verdicts"][feature] for form in FORMS]
                rows.append([result["what"], feature, *verdicts])
        return Table(["BLOW", "FEATURE", *(form.upper() for form in FORMS)], rows)

    def _deal(self, blow: Blow) -> None:
        name = f"{LABELS[blow.what].lower()} in {blow.module}"
        with self.doing(f"{name}, under load"):
            self.memory = {form: round(value, 1) for form, value in memory(self.lab).items()}
            blow.run(lambda: self._draw(blow.loads))
        with self.doing("putting both shops in order again"):
            blow.repair()
        verdicts = blow.verdicts()
        found = {
            form: {
                "verdicts": verdicts[form],
                "lost": {feature: load.lost(feature) for feature in load.features},
                "seconds": round(blow.seconds.get(form, 0.0), 1),
            }
            for form, load in blow.loads.items()
        }
        with self.hold_sync():
            self.results = [{"what": name, "forms": found}, *self.results]
            self.words = str(self.table())
            self.said = "; ".join(f"{form}: {radius(found[form]['verdicts'])}" for form in FORMS)
            self._score(blow, verdicts)

    def _score(self, blow: Blow, verdicts: blast_prediction.Verdicts) -> None:
        if self.locked(blow.what, blow.module):
            return
        given = self.given[f"{blow.what}/{blow.module}"]
        score = blast_prediction.score(blow.what, blow.module, given, verdicts)
        self.verdict = self.lab.keep(score).document()

    def _draw(self, loads: dict[str, Load]) -> None:
        self.strips = {
            form: {
                feature: {
                    "answers": [sample.answered for sample in load.samples[feature][-REMEMBERED:]],
                    "lost": load.lost(feature),
                    "rate": round(load.rate(feature), 3),
                }
                for feature in load.features
            }
            for form, load in loads.items()
        }

    def _draw_buttons(self) -> None:
        space = self.lab.namespace
        rows = []
        for name in (*FAULTS, "release"):
            app = app_of("microservices", self.module)
            if name == "release":
                terminal = f"kubectl -n {space} rollout restart deployment shop {app}"
            else:
                path = f"fault/{self.module}/{'slow?seconds=3' if name == 'slow' else name}"
                terminal = f"kubectl create --raw '/api/v1/namespaces/{space}/pods/POD/proxy/{path}' -f /dev/null"
            rows.append(
                {
                    "name": name,
                    "label": LABELS[name],
                    "effect": EFFECTS[name],
                    "python": f'radius.deal("{name}", "{self.module}")',
                    "terminal": terminal,
                    "able": True,
                    "locked": self.locked(name, self.module),
                }
            )
        self.buttons = rows


def radius(verdicts: dict[str, str]) -> str:
    """ "order, receipts lose requests"."""
    losers = [feature for feature, verdict in verdicts.items() if verdict != "all answered"]
    return f"{', '.join(losers)} lose requests" if losers else "nobody loses a request"
