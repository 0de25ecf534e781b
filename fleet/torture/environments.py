"""What the processes of a torture are told, and nothing else that an operator may have set."""

import os


def clean_environment() -> dict[str, str]:
    """This process's environment without what an operator has set for another fleet."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("FRAMEFLEET_", "AWS_"))}


def storage_environment(port: int) -> dict[str, str]:
    """What leads every S3 client to a local port."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
