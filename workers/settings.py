"""What an operator can set about a worker; read once, at its start."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from schemas.errors import OperatorError
from workers.media.costs import ReadCosts

EngineName = Literal["vllm", "opencv", "openai", "scripted"]
S = TypeVar("S", bound=BaseSettings)


class LogSettings(BaseSettings):
    """How a process logs, from `FRAMEFLEET_*` in the environment."""

    model_config = SettingsConfigDict(env_prefix="FRAMEFLEET_", frozen=True, extra="ignore")

    log_format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = "info"
    """What is said at least."""


class TraceSettings(BaseSettings):
    """Whether a process is traced, from OpenTelemetry's own variables; its library reads those that say how."""

    model_config = SettingsConfigDict(env_prefix="OTEL_", frozen=True, extra="ignore")

    traces_exporter: str = ""
    exporter_otlp_endpoint: str = ""
    exporter_otlp_traces_endpoint: str = ""
    sdk_disabled: str = ""

    @property
    def wanted(self) -> bool:
        """Whether spans are to be sent somewhere; `OTEL_TRACES_EXPORTER` has the last word."""
        if self.sdk_disabled.lower() == "true":
            return False
        asked = self.traces_exporter or ("otlp" if self.exporter_otlp_endpoint or self.exporter_otlp_traces_endpoint else "none")
        return "otlp" in {one.strip() for one in asked.split(",")}


class WorkerSettings(LogSettings):
    """Settings of one worker process, from `FRAMEFLEET_*` in the environment."""

    traces: TraceSettings = Field(default_factory=TraceSettings)
    """From `OTEL_*` variables."""
    broker_url: str = "redis://localhost:6379/0"
    engine: EngineName = "opencv"
    shards_at_once: Annotated[int, Field(ge=1, le=256)] = 8
    """Shards a worker works on side by side; each decodes in a process of its own."""
    pictures_in_memory: Annotated[int | None, Field(ge=1)] = None
    """Decoded pictures a worker holds at once, waiting or being captioned; decoding waits beyond it. Unset: what may be in flight and
    half as many again, at least 16."""
    picture_bytes_in_memory: Annotated[int, Field(ge=1)] = 1 << 30
    """The same in bytes: 445 raw pictures of 896 x 896, enough for 256 in flight."""

    read_costs: Annotated[ReadCosts, BeforeValidator(ReadCosts.of), NoDecode] = Field(default="in-region")  # type: ignore[assignment]  # the validator makes it one
    """What one more GET is worth in bytes: `in-region`, `cross-region`, `internet` or a number."""
    decoder_unlocked: bool = False
    """Decode even where the kernel refuses a required layer of the decoder's lock; for videos that can all be trusted."""
    trusted_source: bool = False
    """Decode many videos in one child: cheaper for short ones, and no wall between them; where whoever uploads can be trusted."""
    decode_deadline_seconds: float = 120.0
    decode_memory_bytes: int = 1 << 30
    max_pixels: int = 8192 * 4352
    max_duration_seconds: float = 24 * 3600.0

    frame_deadline_seconds: Annotated[float, Field(gt=0)] = 300.0
    """How long a picture may be with the engine, all rungs of the repair ladder together."""
    stall_seconds: Annotated[float, Field(gt=0)] = 900.0
    """Without any progress for so long a worker gives up its leases and ends; at least twice the longest deadline."""
    grace_seconds: Annotated[float, Field(ge=5)] = 90.0
    """How long a worker may take from SIGTERM to its end: what it cannot finish by then it hands back."""
    breaker_units: Annotated[int, Field(ge=0)] = 20
    """How many of the fleet's latest videos are looked at to tell a fault of the fleet from faults of videos; 0 switches that off."""
    workers_alike: bool = False
    """Whether all workers of the broker are alike, so that what one cannot do none can: it leaves instead of passing the shard on."""
    black_box: Path | None = None
    """Where the worker writes down what it is at, for whoever finds it dead."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where the worker serves /metrics to Prometheus; 0 switches that off. Each worker of a machine needs a port of its own."""
    metrics_address: str = "0.0.0.0"  # noqa: S104 - Prometheus asks from another machine; what is told is no secret
    """On which of the machine's addresses."""
    health_folder: Path | None = None
    """Where the worker touches the files that `framefleet health` looks at; a folder of its own."""
    gpu_dollars_per_hour: Annotated[float | None, Field(gt=0)] = None
    """What an hour of this worker's machine costs, to tell dollars per million frames."""
    ceiling_dir: str | None = None
    """Where `framefleet bench engine` keeps what engines alone can do; in the user's cache folder if unset."""
    ceiling_frames_per_second: Annotated[float | None, Field(gt=0)] = None
    """What it told elsewhere, for machines that come and go: holds where nothing was measured."""

    recipe: str = "vidcap-12b"
    """The recipe whose model the vllm engine hosts, by its house name or as a TOML file; jobs may bring others for the same model."""
    vllm_model: str | None = None
    """Where the model lies on this machine; the recipe's own name and revision if unset."""
    vllm_args: dict[str, Any] = Field(default_factory=dict)
    """vLLM's own engine arguments, as JSON, over ours."""

    openai_base_url: str = "http://localhost:8000/v1"
    openai_api_key: SecretStr | None = None
    openai_model: str | None = None
    """Name the endpoint knows the model by; the recipe's own name if unset."""
    openai_response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    openai_concurrency: Annotated[int, Field(ge=1)] = 16
    openai_timeout_seconds: float = 120.0
    openai_patience_seconds: float = 600.0
    """How long a busy endpoint is asked again; never longer than half of a frame's deadline."""

    scripted_latency_seconds: float = 0.0
    scripted_concurrency: Annotated[int, Field(ge=1)] = 8

    @property
    def longest_stall_seconds(self) -> float:
        """How long nothing may move before a worker is called stalled."""
        return max(self.stall_seconds, 2 * self.frame_deadline_seconds, 2 * self.decode_deadline_seconds)


def read_settings() -> WorkerSettings:
    """Read the environment.

    Raises:
        OperatorError: a variable says something that makes no sense.
    """
    return _read(WorkerSettings)


def read_log_settings() -> LogSettings:
    """Read how to log, for commands that are no worker.

    Raises:
        OperatorError: a variable says something that makes no sense.
    """
    return _read(LogSettings)


def _read(kind: type[S]) -> S:
    try:
        return kind()
    except SettingsError as error:
        raise OperatorError(f"{error}: FRAMEFLEET_VLLM_ARGS must be a JSON object.") from error
    except ValidationError as error:
        wrong = [f"FRAMEFLEET_{str(one['loc'][0]).upper()}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
        raise OperatorError("; ".join(wrong)) from error
