"""The parser: lines, forms, flags, and upstream's words for what is wrong."""

import pytest

from engines.engine import facts, facts_seen
from kubelab.engine.builder.dockerfile import DockerfileError, parse


def steps(text):
    """Name, arguments and form of each instruction after `FROM x`."""
    (stage,) = parse(f"FROM x\n{text}").stages
    return [(step.name, list(step.args), step.exec_form) for step in stage.instructions]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("RUN echo hi", ("run", ["echo hi"], False)),
        ('RUN ["echo", "hi"]', ("run", ["echo", "hi"], True)),
        ("run  echo   hi  ", ("run", ["echo   hi"], False)),
        ("RUN [ -f x ]", ("run", ["[ -f x ]"], False)),
        ("RUN", ("run", [], False)),
        ("CMD []", ("cmd", [], True)),
        ("ENV a=1 b='x y' c=\"d e\"", ("env", ["a", "1", "b", "'x y'", "c", '"d e"'], False)),
        ("ENV a b c", ("env", ["a", "b c"], False)),
        ("ENV a=b\\ c", ("env", ["a", "b\\ c"], False)),
        ("LABEL a=", ("label", ["a", ""], False)),
        ("ARG a=1", ("arg", ["a=1"], False)),
        ("COPY a  b\tc/", ("copy", ["a", "b", "c/"], False)),
        ('COPY ["a b", "c"]', ("copy", ["a b", "c"], True)),
        ("EXPOSE 80 81", ("expose", ["80", "81"], False)),
        ("WORKDIR /a b", ("workdir", ["/a b"], False)),
        ("USER me", ("user", ["me"], False)),
    ],
)
def test_forms_of_instructions(line, expected):
    assert steps(line) == [expected]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("RUN a \\\n  b", ["a   b"]),
        ("RUN a \\   \n  b", ["a   b"]),
        ("RUN a \\\n# comment\n  b", ["a   b"]),
        ("RUN a \\\n  # indented comment\n  b", ["a   b"]),
        ("RUN a \\\n\n  b", ["a   b"]),
        ("RUN a # no comment", ["a # no comment"]),
        ("  RUN indented", ["indented"]),
        ("RUN a \\", ["a"]),
        ("RUN a \\\r\n b\r\n", ["a  b"]),
    ],
)
def test_lines_and_continuations(text, arguments):
    assert steps(text) == [("run", arguments, False)]


def test_comments_and_empty_lines_are_left_out():
    assert steps("# a\n\n   # b\nRUN c\n#d") == [("run", ["c"], False)]


def test_empty_continuation_line_is_warned_of():
    warnings = parse("FROM x\nRUN a \\\n\n  b\n").warnings
    assert warnings[0] == "[WARNING]: Empty continuation line found in:\n    RUN a   b"
    assert len(warnings) == 2


def test_escape_directive():
    dockerfile = parse("# escape=`\nFROM x\nRUN a `\n b\nWORKDIR c:\\d\n")
    assert dockerfile.escape == "`"
    assert [step.args for step in dockerfile.stages[0].instructions] == [("a  b",), ("c:\\d",)]
    assert parse("# comment\n# escape=`\nFROM x\n").escape == "\\"


def test_flags():
    (step,) = parse("FROM x\nCOPY --chown=me:us --from=0 a b\n").stages[0].instructions
    assert (step.flags, step.args) == ({"chown": "me:us", "from": "0"}, ("a", "b"))


def test_stages_and_arguments_before_them():
    dockerfile = parse("ARG V=1\nFROM a:${V} AS Build\nRUN x\nFROM build\nRUN y\n")
    assert [step.args for step in dockerfile.arguments] == [("V=1",)]
    assert [(stage.base, stage.name, len(stage.instructions)) for stage in dockerfile.stages] == [
        ("a:${V}", "build", 1),
        ("build", "", 1),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN x", "no build stage in current context"),
        ("# only a comment", "failed to parse Dockerfile: file with no instructions"),
        ("ARG a", "no build stage in current context"),
        ("FROM", "dockerfile parse error line 1: FROM requires either one or three arguments"),
        ("FROM a b", "dockerfile parse error line 1: FROM requires either one or three arguments"),
        ("FROM a\n\nENV =1", "dockerfile parse error line 3: ENV names can not be blank"),
        ("# escape=x\nFROM a", "failed to parse Dockerfile: invalid escape token 'x' does not match ` or \\"),
        *(
            (f"FROM kubelab/python\n{line}", message)
            for line, (code, message) in facts_seen.ERRORS.items()
            if code == 400
        ),
    ],
)
def test_errors(text, message):
    with pytest.raises(DockerfileError) as error:
        parse(text)
    assert str(error.value) == message


def test_the_recorded_dockerfile():
    dockerfile = parse(facts.DOCKERFILE)
    (stage,) = dockerfile.stages
    assert 1 + len(dockerfile.arguments) + len(stage.instructions) == 27
    assert [step.line for step in stage.instructions] == [*range(4, 24), *range(26, 31)]
