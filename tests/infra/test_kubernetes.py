from pathlib import Path

import kubernetes_validate
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
MANIFESTS = sorted((REPOSITORY / "infra" / "kubernetes").glob("*.yaml"))
DOCKERFILES = sorted((REPOSITORY / "infra" / "containers").glob("*.Dockerfile"))


def resources():
    return [
        pytest.param(resource, id=f"{resource['kind']}-{resource['metadata']['name']}")
        for path in MANIFESTS
        for resource in yaml.safe_load_all(path.read_text())
    ]


def pods():
    actual = [param.values[0] for param in resources()]
    return [r["spec"]["template"]["spec"] for r in actual if r["kind"] == "Deployment"]


@pytest.mark.parametrize("resource", resources())
def test_a_manifest_is_what_kubernetes_takes(resource):
    kubernetes_validate.validate(resource, "1.34", strict=True)


def test_no_container_may_become_root():
    assert len(pods()) == 2
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_every_task_manager_has_a_pool_beside_it():
    (pod,) = [pod for pod in pods() if len(pod["containers"]) == 2]
    pool = pod["containers"][1]
    assert pool["args"] == ["--worker_pool"]
    assert pool["ports"] == [{"containerPort": 50000}]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_is_pinned_and_ends_as_somebody_else_than_root(path):
    words = [line.split() for line in path.read_text().splitlines() if line.strip()]
    bases = [line[1] for line in words if line[0] == "FROM"]
    users = [line[1] for line in words if line[0] == "USER"]
    assert all(":" in base and not base.endswith(":latest") for base in bases)
    assert users
    assert users[-1] not in ("root", "0")


def test_the_workers_image_has_the_beam_of_the_constraints():
    constraints = (REPOSITORY / "infra" / "constraints.txt").read_text().split()
    (version,) = [x.split("==")[1] for x in constraints if x.startswith("apache-beam=")]
    dockerfile = (REPOSITORY / "infra/containers/worker.Dockerfile").read_text()
    assert f"FROM apache/beam_python3.11_sdk:{version} AS beam" in dockerfile
