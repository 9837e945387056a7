"""Clients that people use push to it and pull from it: oras, python-dxf, skopeo."""

import gzip
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dxf
import pytest
import requests
from oras.client import OrasClient  # type: ignore[import-untyped]

from matrix.registry import Registry

from .client import Client, basic, digest_of

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tls": {"tls": True},
    "basic": {"tls": True, "auth": ("someone", "secret")},
    "tokens": {"tls": True, "auth": ("someone", "secret"), "tokens": True},
    "wild": {
        "switches": [
            "relative-location",
            "plain-location",
            "location-per-chunk",
            "no-content-digest",
            "short-pages=1",
            "content-type-parameters",
            "no-mount",
            "warning",
        ]
    },
    "query": {"switches": ["location-query"]},  # which oras and python-dxf do not keep whole
    "denied": {"tls": True, "auth": ("someone", "secret"), "tokens": True, "switches": ["scope-403"]},
}
PROTECTED = {"basic", "tokens", "denied"}


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Registry]]:
    """Start a registry of one of the kinds that clients meet."""
    with Registry(**KINDS[request.param]) as registry:
        yield request.param, registry


def oras_client(kind: str, registry: Registry) -> OrasClient:
    """Return a client that gets in."""
    made = OrasClient(
        hostname=registry.address,
        insecure=registry.ca_file is None,
        tls_verify=str(registry.ca_file) if registry.ca_file else False,
        auth_backend="basic" if kind == "basic" else "token",
    )
    if kind in PROTECTED:
        made.auth.set_basic_auth("someone", "secret")
    return made


@pytest.mark.parametrize("served", ["plain", "tls", "basic", "denied", "wild"], indirect=True)
def test_oras(served: tuple[str, Registry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oras pushes whole and in chunks, pulls, lists tags and deletes."""
    kind, registry = served
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    Path("file.txt").write_bytes(b"content" * 10_000)
    client = oras_client(kind, registry)
    for tag, chunked in (("v1", False), ("v2", True)):
        target = f"{registry.address}/some/artifact:{tag}"
        pushed = client.push(files=["file.txt"], target=target, do_chunked=chunked, chunk_size=9999)
        assert pushed.status_code == 201
        (pulled,) = client.pull(target=target, outdir=str(tmp_path / tag))
        assert Path(pulled).read_bytes() == Path("file.txt").read_bytes()
    assert client.get_tags(f"{registry.address}/some/artifact") == ["v1", "v2"]
    if kind != "wild":  # it needs Docker-Content-Digest to delete
        assert client.delete_tags(f"{registry.address}/some/artifact", ["v1"]) == ["v1"]


def test_oras_finds_referrers(registry: Registry, client: Client, tmp_path: Path) -> None:
    """What oras pushes with a subject is listed as its referrer."""
    artifact = tmp_path / "file.txt"
    artifact.write_text("content")
    remote = OrasClient(hostname=registry.address, insecure=True)
    target = f"{registry.address}/some/artifact:v1"
    pushed = remote.push(files=[str(artifact)], target=target, disable_path_validation=True)
    digest = pushed.headers["Docker-Content-Digest"]
    manifest = remote.get_manifest(target)
    subject = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(pushed.request.body or b"")}
    container = remote.get_container(f"{registry.address}/some/artifact:referrer")
    remote.upload_manifest(manifest | {"subject": subject}, container)
    (referrer,) = client("GET", f"/v2/some/artifact/referrers/{digest}").json()["manifests"]
    assert referrer["digest"] == digest_of(client("GET", "/v2/some/artifact/manifests/referrer").body)


@pytest.mark.parametrize("served", ["plain", "tls", "basic", "tokens", "wild"], indirect=True)
def test_dxf(served: tuple[str, Registry], tmp_path: Path) -> None:
    """python-dxf pushes blobs and aliases, lists, pulls and deletes them."""
    kind, registry = served

    def authenticate(connection: dxf.DXFBase, response: requests.Response | None) -> None:
        if kind in PROTECTED:
            connection.authenticate("someone", "secret", actions=["pull", "push", "*"], response=response)

    verify = str(registry.ca_file) if registry.ca_file else True
    with dxf.DXF(registry.address, "some/blobs", authenticate, registry.ca_file is None, tlsverify=verify) as client:
        (tmp_path / "file").write_bytes(b"content" * 1000)
        digest = client.push_blob(str(tmp_path / "file"))
        client.set_alias("v1", digest)
        assert client.list_aliases() == ["v1"]
        assert client.get_alias("v1") == [digest]
        assert b"".join(client.pull_blob(digest)) == b"content" * 1000  # type: ignore[arg-type]
        client.del_blob(digest)
        with pytest.raises(Exception, match="404"):
            list(client.pull_blob(digest))


def write_image(folder: Path) -> str:
    """Write an image of one file as an OCI layout and return the digest of its manifest."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(data: bytes, media_type: str) -> dict[str, Any]:
        digest = digest_of(data)
        (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": digest, "size": len(data)}

    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo("hello")
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"hello"))
        layer = buffer.getvalue()
    root = {"type": "layers", "diff_ids": [digest_of(layer)]}
    config = add(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": root}).encode(), "config.v1+json")
    layers = [add(gzip.compress(layer, mtime=0), "layer.v1.tar+gzip")]
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    pushed = add(json.dumps({**manifest, "config": config, "layers": layers}).encode(), "manifest.v1+json")
    named = {**pushed, "annotations": {"org.opencontainers.image.ref.name": "v1"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(pushed["digest"])


def skopeo(*arguments: str) -> str:
    """Run it, without a policy or credentials of this machine."""
    program = shutil.which("skopeo")
    if program is None:
        pytest.skip("skopeo is not installed (Debian: apt-get install skopeo)")
    command = [program, "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("served", ["plain", "tls", "basic", "tokens", "wild", "query"], indirect=True)
def test_skopeo(served: tuple[str, Registry], tmp_path: Path) -> None:
    """Skopeo copies an image to it, within it, to another format, and from it, the same as it was."""
    kind, registry = served
    digest = write_image(tmp_path / "image")
    credentials = "creds=someone:secret" if kind in PROTECTED else "no-creds=true"
    here, there = (f"docker://{registry.address}/{name}:v1" for name in ("a/b", "c/d"))
    source, target = ([f"--{end}-tls-verify=false", f"--{end}-{credentials}", "-q"] for end in ("src", "dest"))
    skopeo("copy", *target, f"oci:{tmp_path}/image:v1", here)
    skopeo("copy", *source, *target, here, there)
    skopeo("copy", *source, *target, "--format", "v2s2", here, there.replace(":v1", ":v2"))
    skopeo("copy", *source, there, f"oci:{tmp_path}/copy:v1")
    assert json.loads((tmp_path / "copy" / "index.json").read_text())["manifests"][0]["digest"] == digest
    options = ["--tls-verify=false", f"--{credentials}"]
    assert json.loads(skopeo("list-tags", *options, there.removesuffix(":v1")))["Tags"] == ["v1", "v2"]
    assert json.loads(skopeo("inspect", *options, here))["Digest"] == digest
    skopeo("delete", *options, there)
    with Client(registry) as client:
        if kind in {"plain", "wild", "tls"}:
            assert client("HEAD", "/v2/c/d/manifests/v1").status == 404


def test_a_client_keeps_credentials_from_other_hosts(tmp_path: Path) -> None:
    """Where blobs are redirected, the other host gets no credentials from oras."""
    with Registry(auth=("someone", "secret"), switches=["redirect-blobs"]) as registry:
        with Client(registry, basic("someone", "secret")) as client:
            digest = client.push_blob("a", b"content")
        remote = OrasClient(hostname=registry.address, insecure=True, auth_backend="basic")
        remote.auth.set_basic_auth("someone", "secret")
        remote.download_blob(f"{registry.address}/a", digest, str(tmp_path / "file"))
        assert (tmp_path / "file").read_bytes() == b"content"
