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


def of_kind(kind):
    every = [param.values[0] for param in resources()]
    return [resource for resource in every if resource["kind"] == kind]


def pods():
    return [r["spec"]["template"]["spec"] for r in of_kind("Deployment")]


@pytest.mark.parametrize("resource", resources())
def test_a_manifest_is_what_kubernetes_takes(resource):
    kubernetes_validate.validate(resource, "1.34", strict=True)


def test_no_container_may_become_root():
    assert len(pods()) == 2
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_no_container_may_write_to_its_image():
    for pod in pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted & volumes - {"config"}, "it has nowhere to write to"


def test_no_pod_has_a_token_for_kubernetes():
    assert not any(pod["automountServiceAccountToken"] for pod in pods())
    (account,) = of_kind("ServiceAccount")
    assert not account["automountServiceAccountToken"]


def test_every_task_manager_has_a_pool_beside_it_that_nobody_else_reaches():
    (pod,) = [pod for pod in pods() if len(pod["containers"]) == 2]
    pool = pod["containers"][1]
    assert pool["command"] == ["python", "/opt/clipmill/worker_pool.py"]
    assert pool["args"] == ["--port", "50000"]  # and no --host: it is loopback
    assert "ports" not in pool
    dockerfile = (REPOSITORY / "infra/containers/worker.Dockerfile").read_text()
    assert "WORKDIR /opt/clipmill\n" in dockerfile
    assert "COPY infra/flink/worker_pool.py worker_pool.py\n" in dockerfile


def test_only_who_may_submit_jobs_reaches_the_rest_port_and_nobody_a_pool():
    let_in = {}
    for policy in of_kind("NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        for rule in policy["spec"]["ingress"]:
            (peer,) = rule["from"]
            labels = tuple(peer["podSelector"]["matchLabels"].items())
            assert list(peer) == ["podSelector"]  # of this namespace
            let_in.setdefault(labels, set()).update(p["port"] for p in rule["ports"])
    assert let_in == {
        (("app", "flink"),): {6121, 6122, 6123, 6124},
        (("clipmill-submits", "jobs"),): {8081},
    }
    policies = [
        p["spec"]["podSelector"]["matchLabels"] for p in of_kind("NetworkPolicy")
    ]
    for deployment in of_kind("Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert any(chosen.items() <= labels.items() for chosen in policies)


def test_jobs_are_given_up_by_the_rate_of_failures_not_by_their_number():
    (config,) = of_kind("ConfigMap")
    settings = yaml.safe_load(config["data"]["config.yaml"])
    assert settings["restart-strategy.type"] == "failure-rate"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_is_pinned_and_ends_as_somebody_else_than_root(path):
    words = [line.split() for line in path.read_text().splitlines() if line.strip()]
    bases = dict(line[1].split("=", 1) for line in words if line[0] == "ARG")
    used = [line[1] for line in words if line[0] == "FROM"]
    users = [line[1] for line in words if line[0] == "USER"]
    assert used
    # Each can be named by a digest from outside, without an edit.
    assert set(used) == {"${" + name + "}" for name in bases}
    assert all(":" in b and not b.endswith(":latest") for b in bases.values())
    assert users
    assert users[-1] not in ("root", "0")


def test_the_workers_image_has_the_beam_of_the_constraints():
    constraints = (REPOSITORY / "infra" / "constraints.txt").read_text().split()
    (version,) = [x.split("==")[1] for x in constraints if x.startswith("apache-beam=")]
    dockerfile = (REPOSITORY / "infra/containers/worker.Dockerfile").read_text()
    assert f"ARG BEAM=apache/beam_python3.11_sdk:{version}\n" in dockerfile
    assert "FROM ${BEAM} AS beam\n" in dockerfile
