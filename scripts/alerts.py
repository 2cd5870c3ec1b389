"""Checks that a running server has all metrics of the alerts and the dashboard, and that each alert is documented."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

ALERTS = pathlib.Path("deploy/prometheus/alerts.yml").read_text()
TESTS = pathlib.Path("deploy/prometheus/alerts_test.yml").read_text()
DASHBOARD = json.loads(pathlib.Path("deploy/grafana/license-server.json").read_text())
OPERATIONS = pathlib.Path("docs/operations.md").read_text()


def call(url, body=None, token=None):
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def metrics_of_server(program):
    """Returns the samples of a new server after a license was issued and validated."""
    token = "lkt_" + "0123456789abcdef" * 4
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--admin-token", token]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            try:
                addresses = {}
                while "address" not in addresses or "metrics" not in addresses:
                    line = server.stdout.readline()
                    if not line:
                        sys.exit("the server has stopped")
                    if match := re.search(r"^  (address|metrics) +(http://\S+)", line):
                        addresses[match[1]] = match[2]
                spec = {"plan": "starter", "customer_email": "dev@example.com"}
                license = json.loads(call(addresses["address"] + "/api/v1/licenses", spec, token))
                call(addresses["address"] + "/api/v1/validate", {"key": license["key"]})
                return call(addresses["metrics"])
            finally:
                server.terminate()


def main():
    samples = metrics_of_server(pathlib.Path(sys.argv[1]).resolve())
    exposed = set(re.findall(r"^([a-z_]+)[ {]", samples, re.MULTILINE)) | {"up"}
    faults = []

    rules = re.findall(r"expr: (.*)", ALERTS)
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    for expression in rules + panels:
        names = set(re.findall(r"\b((?:license|process)_[a-z_]+|up)\b(?!=)", expression))
        assert names, expression
        faults += [f"{name} is no metric: {expression}" for name in names - exposed]

    reasons = set(re.findall(r'license_requests_refused_total{reason="(\w+)"', samples))
    for reason in re.findall(r'reason=~?"([\w|]+)"', ALERTS):
        faults += [f"{name} is no reason of a refusal" for name in set(reason.split("|")) - reasons]

    alerts = re.findall(r"alert: (\w+)", ALERTS)
    assert len(alerts) == len(rules) >= 10, alerts
    for alert in alerts:
        if f"runbook: docs/operations.md#{alert.lower()}\n" not in ALERTS:
            faults.append(f"{alert} has no runbook")
        if not re.search(rf"^### {alert}\n\n\w", OPERATIONS, re.MULTILINE):
            faults.append(f"{alert} has no paragraph in docs/operations.md")
        if f'alertname="{alert}"' not in TESTS:
            faults.append(f"{alert} has no test")

    print(f"{len(alerts)} alerts and {len(panels)} queries of the dashboard use metrics of the server")
    print("\n".join(faults))
    sys.exit(bool(faults))


main()
