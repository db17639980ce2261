"""What an analysis is to the command line: its name's line of help, where it is, and its options."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A keyword of an analysis as the command line offers it; `kind` names a type in `vitjax.cli.analyze.KINDS`."""

    flag: str
    kind: str
    help: str
    default: object = None
    required: bool = False

    @property
    def name(self) -> str:
        """The keyword."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Analysis:
    """An analysis: `function` of `vitjax.analysis.MODULE`, called with (model, data, **options), gives `Findings`.

    Attributes:
        module, function: where it is.
        summary: one line.
        text: what is measured, and by whom it was first.
        options: its keywords.
        convnets: it asks nothing of a model that convolutional networks lack.
        resumable: it takes `folder`, where it keeps its state, and hosts may share it.
    """

    module: str
    summary: str
    text: str
    options: tuple[Option, ...] = ()
    function: str = "run"
    convnets: bool = False
    resumable: bool = False
