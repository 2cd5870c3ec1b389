"""Checks compose.yaml without Docker: its keys, and that each name and file in it exists. Needs PyYAML."""

import pathlib
import re
import sys

import yaml

SERVICE_KEYS = set(
    "build image restart stop_grace_period read_only tmpfs cap_drop security_opt ulimits ports volumes profiles depends_on"
    " environment secrets network_mode healthcheck".split()
)


def check(path):
    text = yaml.safe_load(path.read_text())
    assert set(text) <= {"x-license-server", "services", "volumes", "secrets"}, set(text)
    services, volumes, secrets = text["services"], text["volumes"], text["secrets"]
    ignored = (path.parent / ".gitignore").read_text().splitlines()
    options = (path.parent / "docs/configuration.md").read_text()
    image = (path.parent / "Dockerfile").read_text()
    for name, service in services.items():
        assert set(service) <= SERVICE_KEYS, f"{name}: {set(service) - SERVICE_KEYS}"
        assert service.get("read_only") or service["image"] != "license-server", name
        for other in service.get("depends_on", {}):
            assert set(services[other].get("profiles", [])) == set(service["profiles"]), f"{name}: {other}"
        if "network_mode" in service:
            assert service["network_mode"].removeprefix("service:") in services, name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            exists = (path.parent / source).exists() if source.startswith(".") else source in volumes
            assert exists, f"{name}: {source}"
        for secret in service.get("secrets", []):
            assert secret in secrets, f"{name}: {secret}"
        for variable, value in service.get("environment", {}).items():
            assert not variable.startswith("LICENSE_") or f"`{variable}`" in options, variable
            secret = re.fullmatch(r"/run/secrets/(\w+)", str(value))
            assert not secret or secret[1] in service["secrets"], f"{name}: {value}"
            # The server refuses a setting that is given twice.
            twice = variable.removesuffix("_FILE") + "="
            assert not variable.endswith("_FILE") or twice not in image, f"{name}: the image sets {twice}"
    for secret in secrets.values():
        assert "/" + secret["file"].split("/")[1] in ignored, f"{secret['file']} is not in .gitignore"


check(pathlib.Path(sys.argv[1]).resolve())
