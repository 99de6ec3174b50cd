"""The command line: parse, call the API, show the report, exit.

Exit codes: 0 fine; 1 a check failed or the request could not be met; 2 the request makes no sense or a file
cannot be used; 3 a required provider could not run; 130 interrupted; 141 nobody reads the output. Whenever it
is not 0, one line on standard error says why.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from . import api, many, options, proofs, trying, wording
from .arguments import data_files
from .errors import BadInput, NotMet, OnnxPreluError
from .graph.model import Model, target, write_text
from .manifest import pairs
from .report.output import Output
from .report.report import Report, version
from .streams import Ended, ToStandardOutput, destination, printing, read_models


class Main(click.Group):
    """A group whose every failure is one line on standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interrupt ends it with a line of our own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Ended(130, "interrupted") from None

    def main(self, *args: Any, **settings: Any) -> NoReturn:
        """Run, print the one line if there is one, and exit."""
        # A large model is a million small objects without a cycle among them: looking through all of them again and
        # again would take a third of a rewrite, and ever more of a larger one.
        gc.set_threshold(200_000, 50, 100)
        settings = {"prog_name": "onnx-prelu", **settings, "standalone_mode": False}
        try:
            sys.exit(super().main(*args, **settings))
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "onnx-prelu"
            line = f"{error.format_message().rstrip('.')}; see '{path} --help'"
            self.fail(line, error.exit_code)
        except click.ClickException as error:
            self.fail(error.format_message(), error.exit_code)
        except (OnnxPreluError, Ended) as error:
            self.fail(str(error), error.exit_code)

    def fail(self, line: str, exit_code: int) -> NoReturn:
        """Print ``line`` as one line, however long, and exit."""
        click.echo(f"Error: {' '.join(line.split())}", err=True)
        sys.exit(exit_code)


def read_files(request: Mapping[str, Any], *models: Model) -> list[Path]:
    """Every file that a command reads, none of which it may write: the models, their data, the inputs, their ranges."""
    return [*(file for model in models for file in model.read), *data_files(request)]


def finish(output: Output, report: Report, *, but: str = "") -> None:
    """Show the report everywhere it is wanted, and end with its exit code; ``but`` is added to its line."""
    show(output, report)
    if report.failure:
        raise Ended(report.exit_code, report.failure + but)


def read_json(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        BadInput: It cannot be read, or holds something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"is no JSON that can be read ({error})", where=str(file)) from None
    if not isinstance(found, dict):
        raise BadInput("is no certificate", where=str(file), todo="name what rewrite --certificate wrote")
    return found


def show(output: Output, report: Report) -> None:
    """Show the report everywhere it is wanted."""
    with printing("the report"):
        output.show(report)


@click.group(
    "onnx-prelu",
    cls=Main,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(version(), prog_name="onnx-prelu")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Exchange PReLU for ReLU, and ReLU for PReLU, in ONNX models: checked, and with its price."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@main.command(cls=wording.Command, example="onnx-prelu inspect net.onnx")
@click.argument("model", type=wording.FILE)
@options.for_whom
@options.which_sites
@trying.ranges
@proofs.prove
@options.data
@options.input_sizes
@options.shown
def inspect(model: Path, output: Output, **request: Any) -> None:
    """List the PReLUs of MODEL and the forms that each can take."""
    (loaded,) = read_models(model)
    output = output.claim(*read_files(request, loaded))
    finish(output, api.inspect(loaded, **request))


@main.command(cls=wording.Command, example="onnx-prelu rewrite net.onnx relu.onnx --to relu --report rewrite.md")
@click.argument("source", type=wording.FILE, metavar="IN")
@click.argument("out", type=wording.FILE, metavar="OUT")
@options.direction
@options.for_whom
@options.as_written
@options.which_sites
@options.fastest
@options.for_int8
@options.strict
@proofs.write_certificate
@options.no_check
@options.running_tuned
@options.all_nodes
@trying.ranges
@proofs.prove
@proofs.slope_tolerance
@trying.effort
@options.tolerance
@options.no_bench
@options.timing
@options.shown
def rewrite(
    source: Path,
    out: Path,
    output: Output,
    no_check: bool,
    no_bench: bool,
    certificate: Path | None,
    **request: Any,
) -> None:
    """Exchange PReLU and ReLU in IN, check the result, write it to OUT. As IN and OUT, - is a pipe."""
    (loaded,) = read_models(source)
    used = read_files(request, loaded)
    place = destination(out, loaded, used)
    used += place.files
    for file in (request["quantized_out"], request["plan"], certificate):
        used += [target(file, protect=used)] if file is not None else []
    request["certificate"] = certificate is not None
    output = output.claim(*used)
    if isinstance(place, ToStandardOutput):
        output = output.beside_a_model()
    try:
        with output.progress() as progress:
            result = api.rewrite(loaded, check=not no_check, bench=not no_bench, progress=progress, **request)
    except NotMet as error:
        if error.report is not None:
            show(output, error.report)
        raise Ended(error.exit_code, f"{error}; {place.untouched}") from None
    report = result.report.with_notes(place.take(result))
    if certificate is not None:
        write_text(certificate, json.dumps(result.certificate) + "\n")
    finish(output, report, but=f"; {place.path} was written all the same")


@main.command(cls=wording.Command, example="onnx-prelu check net.onnx relu.onnx --provider cpu")
@click.argument("a", type=wording.FILE)
@click.argument("b", type=wording.FILE)
@proofs.read_certificate
@options.running
@options.all_nodes
@trying.ranges
@trying.effort
@options.tolerance
@options.also_bench
@options.timing
@options.budgets
@options.shown
def check(a: Path, b: Path, output: Output, certificate: Path | None, **request: Any) -> None:
    """Say whether A and B compute the same; with a certificate, from the two files alone."""
    first, second = read_models(a, b)
    earlier = [request["baseline"]] if request["baseline"] else []
    proof = [certificate] if certificate else []
    output = output.claim(*read_files(request, first, second), *earlier, *proof)
    if certificate is not None:
        finish(output, api.verify(read_json(certificate), first, second))
        return
    with output.progress() as progress:
        report = api.check(first, second, progress=progress, **request)
    finish(output, report)


@main.command("check-all", cls=wording.Command, example="onnx-prelu check-all pairs.toml --report verdicts.md")
@click.argument("manifest", type=wording.FILE)
@options.shown
def check_all(manifest: Path, output: Output) -> None:
    """Say of each pair of models in MANIFEST, a TOML file, whether the two compute the same."""
    asked = pairs(manifest)
    output = output.claim(manifest, *(file for pair in asked for file in pair.files))
    with output.progress() as progress:
        report = many.check_pairs(str(manifest), asked, progress=progress)
    finish(output, report)


@main.command(cls=wording.Command, example="onnx-prelu diff net.onnx relu.onnx --report changes.md")
@click.argument("a", type=wording.FILE)
@click.argument("b", type=wording.FILE)
@options.shown
def diff(a: Path, b: Path, output: Output) -> None:
    """Say what changed from A to B, by name; nothing is run."""
    first, second = read_models(a, b)
    output = output.claim(*read_files({}, first, second))
    finish(output, api.diff(first, second))


@main.command(cls=wording.Command, example="onnx-prelu bench net.onnx relu.onnx --threads 2 --duration 10")
@click.argument("a", type=wording.FILE)
@click.argument("b", type=wording.FILE)
@click.argument("more", type=wording.FILE, nargs=-1, metavar="[C]...")
@options.running
@trying.ranges
@options.timing
@options.beyond_latency
@options.shown
def bench(a: Path, b: Path, more: tuple[Path, ...], output: Output, **request: Any) -> None:
    """Say how much faster B, and C and so on, are than A, timed side by side."""
    models = read_models(a, b, *more)
    output = output.claim(*read_files(request, *models))
    with output.progress() as progress:
        report = api.bench(*models, progress=progress, **request)
    finish(output, report)
