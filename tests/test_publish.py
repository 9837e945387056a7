"""Publishing results to real registries, and fetching them back."""

import base64
import gzip
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oras.client import OrasClient  # type: ignore[import-untyped]
from registries import PASSWORD, USER, Address, docker_registry, meddler

from matrix.cli import main
from matrix.publish import ARTIFACT_TYPE, Reference, Remote, collect
from matrix.publish.artifact import INDEX_TYPE, MANIFEST_TYPE, PublishError, digest_of
from matrix.publish.reference import InvalidReferenceError
from matrix.registry.server import Registry
from matrix.turned import TableError, Turned, turned

TABLE = "function,tier,profiles,calls,unreplayable,0.1,0.2\noras.a,boundary,anonymous,3,0,ok,missing\n"
TRACE = "oras-0.2.43-anonymous.trace.jsonl.gz"


def write_trace(path: Path, **header: object) -> None:
    """Write a trace that is its header alone."""
    header = {"trace": 1, "subject": "oras", "release": "0.2.43", "profile": "anonymous"} | header
    path.write_bytes(gzip.compress(json.dumps(header).encode() + b"\n", mtime=0))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project's folder, which is the current one, with results and a trace, and nobody logged in."""
    folder = tmp_path / "project"
    (folder / "results/oras").mkdir(parents=True)
    (folder / "traces").mkdir()
    (folder / "results/oras/matrix.csv").write_text(TABLE, encoding="utf-8")
    (folder / "results/oras/heatmap.png").write_bytes(b"\x89PNG" + bytes(1 << 20))
    (folder / "results/oras/run.json").write_text('{"seconds": 1.5}', encoding="utf-8")
    write_trace(folder / "traces" / TRACE)
    (folder / "traces/oras-0.2.43-anonymous.masks.json").write_text("{}\n", encoding="utf-8")
    (folder / "traces/oras.releases.json").write_text('{"as_of": "2026-11-20"}', encoding="utf-8")
    monkeypatch.chdir(folder)
    for name in ("ORAS_USER", "ORAS_PASS", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Run one registry for all tests that ask nothing special of it; each uses a repository of its own."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


def login(monkeypatch: pytest.MonkeyPatch, user: str = USER, password: str = PASSWORD) -> None:
    """Give the credentials by the environment."""
    monkeypatch.setenv("ORAS_USER", user)
    monkeypatch.setenv("ORAS_PASS", password)


def remote(address: Address, name: str, tag: str = "latest") -> Remote:
    """Return a repository of ``address``, to look into it."""
    return Remote(
        Reference.parse(f"{address.host}/{name}:{tag}"), plain_http=not address.ca_file, ca_file=address.ca_file
    )


def state(address: Address) -> dict[str, bytes]:
    """Return everything that the registry stores, upload sessions left out."""
    files = (path for path in address.storage.rglob("*") if path.is_file() and "_uploads" not in path.parts)
    return {str(path.relative_to(address.storage)): path.read_bytes() for path in files}


@pytest.mark.parametrize("password", [False, True], ids=["open", "password"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_what_is_fetched_is_what_was_published(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool, password: bool
) -> None:
    """Files come back equal from Debian's registry, over http and TLS, with and without a password."""
    if password:
        login(monkeypatch)
    with docker_registry(tmp_path / "registry", tls=tls, password=password) as address:
        assert main(["publish", f"{address.host}/team/oras", *address.options]) == 0
        assert main(["fetch", f"{address.host}/team/oras", *address.options, "-o", "back"]) == 0
    expected = {
        path.name: path.read_bytes() for path in (project / "results/oras").iterdir() if path.name != "run.json"
    }
    expected |= {
        path.name: path.read_bytes() for path in (project / "traces").iterdir() if path.name != "oras.releases.json"
    }
    assert {path.name: path.read_bytes() for path in (project / "back").iterdir()} == expected


@pytest.mark.parametrize("auth", ["open", "password", "token"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_the_embedded_registry_takes_and_gives_the_same(
    project: Path, monkeypatch: pytest.MonkeyPatch, auth: str, *, tls: bool
) -> None:
    """The registry that ships with the project is as good as Debian's, and gives tokens as the big ones do."""
    login(monkeypatch)
    with Registry(tls=tls, auth=None if auth == "open" else (USER, PASSWORD), tokens=auth == "token") as server:
        options = ["--ca-file", str(server.ca_file)] if tls else ["--plain-http"]
        assert main(["publish", f"{server.address}/team/oras", *options]) == 0
        assert main(["fetch", f"{server.address}/team/oras", *options]) == 0
        login(monkeypatch, password="hunter2")
        assert main(["fetch", f"{server.address}/team/oras", *options]) == (0 if auth == "open" else 2)
    assert (project / "published/oras/matrix.csv").read_text(encoding="utf-8") == TABLE


def test_the_manifest_says_what_it_is(project: Path, registry: Address) -> None:
    """Type, layers by name and media type, and the annotations: subject, release, day, trace, revision."""
    command = ["publish", f"{registry.host}/manifest/oras", "--revision", "abc123", *registry.options]
    assert main(command) == 0
    manifest = remote(registry, "manifest/oras").manifest("latest")
    assert manifest is not None
    assert manifest.media_type == MANIFEST_TYPE
    assert manifest.content["artifactType"] == ARTIFACT_TYPE
    titles = [layer["annotations"]["org.opencontainers.image.title"] for layer in manifest.content["layers"]]
    assert titles == ["heatmap.png", "matrix.csv", "oras-0.2.43-anonymous.masks.json", TRACE]
    types = [layer["mediaType"] for layer in manifest.content["layers"]]
    assert types == ["image/png", "text/csv", "application/json", "application/vnd.caliper-matrix.trace.v1+gzip"]
    assert manifest.content["annotations"] == {
        "io.github.caliper-matrix.subject": "oras",
        "io.github.caliper-matrix.release": "0.2.43",
        "io.github.caliper-matrix.trace.anonymous": digest_of((project / "traces" / TRACE).read_bytes()),
        "org.opencontainers.image.created": "2026-11-20T00:00:00Z",
        "org.opencontainers.image.revision": "abc123",
        "org.opencontainers.image.title": "Compatibility matrix of oras",
        "org.opencontainers.image.version": "0.2.43",
    }


@pytest.mark.usefixtures("project")
def test_three_tags_name_the_artifact(registry: Address) -> None:
    """The day of the data, the recorded release and latest are one manifest."""
    assert main(["publish", f"{registry.host}/tags/oras", *registry.options]) == 0
    there = remote(registry, "tags/oras")
    digests = {manifest.digest for tag in ("2026-11-20", "0.2.43", "latest") if (manifest := there.manifest(tag))}
    assert len(digests) == 1


@pytest.mark.usefixtures("project")
def test_equal_results_change_nothing(registry: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """A second push of the same results, from another revision on another day, leaves every byte as it was."""
    reference = f"{registry.host}/again/oras"
    assert main(["publish", reference, "--revision", "abc", *registry.options]) == 0
    before = state(registry)
    command = ["publish", reference, "--revision", "def", "--date", "2026-11-27", "--json", *registry.options]
    capsys.readouterr()
    assert main(command) == 0
    assert state(registry) == before
    assert json.loads(capsys.readouterr().out)["changed"] is False


def test_other_results_move_the_tags(project: Path, registry: Address) -> None:
    """A table that changed is pushed, and the old artifact stays under its date."""
    reference = f"{registry.host}/moved/oras"
    assert main(["publish", reference, *registry.options]) == 0
    there = remote(registry, "moved/oras")
    before = there.manifest("latest")
    (project / "results/oras/matrix.csv").write_text(TABLE.replace("missing", "ok"), encoding="utf-8")
    assert main(["publish", reference, "--date", "2026-11-27", *registry.options]) == 0
    assert there.manifest("latest") != before
    assert there.manifest("2026-11-20") == before


def test_skopeo_reads_it(project: Path, registry: Address, tmp_path: Path) -> None:
    """An independent client copies the artifact, blobs and all."""
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not installed (apt-get install skopeo)")
    assert main(["publish", f"{registry.host}/skopeo/oras", *registry.options]) == 0
    source = f"docker://{registry.host}/skopeo/oras:latest"
    subprocess.run(
        [skopeo, "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", source, f"dir:{tmp_path / 'copy'}"],
        check=True,
        timeout=60,
    )
    blob = digest_of((project / "results/oras/matrix.csv").read_bytes()).removeprefix("sha256:")
    assert (tmp_path / "copy" / blob).read_text(encoding="utf-8") == TABLE


@pytest.mark.usefixtures("project")
def test_oras_reads_it(registry: Address, tmp_path: Path) -> None:
    """The library that the matrix is about pulls the artifact like any other."""
    assert main(["publish", f"{registry.host}/plain/oras", *registry.options]) == 0
    OrasClient(insecure=True).pull(f"{registry.host}/plain/oras:latest", outdir=str(tmp_path / "pulled"))
    assert (tmp_path / "pulled/matrix.csv").read_text(encoding="utf-8") == TABLE


def push_image(address: Address, name: str, tag: str = "image") -> dict[str, Any]:
    """Push the smallest image there is and return its descriptor."""
    there = remote(address, name)
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"{}"), "size": 2}
    there.put_empty_config(config)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": []}
    data = json.dumps(manifest | {"annotations": {"tag": tag}}).encode()
    there.put_manifest(tag, data)
    return {"mediaType": MANIFEST_TYPE, "digest": digest_of(data), "size": len(data)}


@pytest.mark.usefixtures("project")
def test_an_image_lists_the_artifact_as_a_referrer(registry: Address) -> None:
    """Attached to an image, the artifact is in the image's list of referrers, once, and other entries stay."""
    name = "attached/oras"
    image = push_image(registry, name)
    there = remote(registry, name)
    tag = image["digest"].replace(":", "-")
    other = push_image(registry, name, "other")
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [other]}
    there.put_manifest(tag, json.dumps(index).encode(), INDEX_TYPE)
    command = ["publish", f"{registry.host}/{name}:results", "--subject", f"{registry.host}/{name}:image"]
    assert main([*command, *registry.options]) == 0
    assert main([*command, *registry.options]) == 0
    artifact, referrers = there.manifest("results"), there.manifest(tag)
    assert artifact is not None
    assert referrers is not None
    assert artifact.content["subject"] == image
    kept, listed = referrers.content["manifests"]
    assert kept == other
    assert (listed["digest"], listed["artifactType"]) == (artifact.digest, ARTIFACT_TYPE)


@pytest.mark.usefixtures("project")
def test_a_registry_that_lists_referrers_itself_is_left_to_it() -> None:
    """Where the registry keeps the list, it has the artifact, and no tag is made for it."""
    with Registry() as server:
        address = Address(server.address, None, password=False, storage=Path())
        image = push_image(address, "own/oras")
        command = ["publish", f"{server.address}/own/oras:results", "--subject", f"{server.address}/own/oras:image"]
        assert main([*command, "--plain-http"]) == 0
        with urllib.request.urlopen(f"http://{server.address}/v2/own/oras/referrers/{image['digest']}") as answer:
            (listed,) = json.load(answer)["manifests"]
        assert listed["artifactType"] == ARTIFACT_TYPE
        assert sorted(OrasClient(insecure=True).get_tags(f"{server.address}/own/oras")) == ["image", "results"]


@pytest.mark.usefixtures("project")
def test_an_image_is_never_overwritten(registry: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """A tag that names something else than results is refused, and stays."""
    image = push_image(registry, "kept/oras")
    assert main(["publish", f"{registry.host}/kept/oras:image", *registry.options]) == 2
    assert "is something else" in capsys.readouterr().err
    kept = remote(registry, "kept/oras").manifest("image")
    assert kept is not None
    assert kept.digest == image["digest"]


@pytest.mark.usefixtures("project")
def test_an_image_of_another_repository_is_refused(registry: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """Referrers are listed within a repository; an image elsewhere, or none, is one clear line."""
    reference = f"{registry.host}/here/oras"
    assert main(["publish", reference, "--subject", f"{registry.host}/there/oras", *registry.options]) == 2
    assert "is not in" in capsys.readouterr().err
    assert main(["publish", reference, "--subject", f"{reference}:none", *registry.options]) == 2
    assert "push the image first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda body: body[:-7], "truncated"),
        (lambda body: body[:-1] + b"!", "altered"),
        (lambda body: body + b"more", "altered"),
    ],
    ids=["truncated", "altered", "longer"],
)
def test_a_damaged_layer_is_refused(
    project: Path, registry: Address, capsys: pytest.CaptureFixture[str], change: Callable[[bytes], bytes], told: str
) -> None:
    """A layer that is not what the manifest says is named, and no file is written."""
    assert main(["publish", f"{registry.host}/damaged/oras", *registry.options]) == 0
    last = digest_of((project / "traces" / TRACE).read_bytes())

    with meddler(registry, lambda path, body: change(body) if path.endswith(last) else body) as proxy:
        assert main(["fetch", f"{proxy.host}/damaged/oras", "--plain-http", "-o", "back"]) == 2
    message = capsys.readouterr().err
    assert TRACE in message
    assert told in message
    assert not (project / "back").exists()


def test_an_altered_manifest_is_refused(project: Path, registry: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest that does not have the digest that was asked for is refused."""
    assert main(["publish", f"{registry.host}/forged/oras", *registry.options]) == 0
    manifest = remote(registry, "forged/oras").manifest("latest")
    assert manifest is not None

    with meddler(registry, lambda _path, body: body.replace(b"0.2.43", b"0.2.44")) as proxy:
        assert main(["fetch", f"{proxy.host}/forged/oras@{manifest.digest}", "--plain-http"]) == 2
    assert "damaged" in capsys.readouterr().err
    assert not (project / "published").exists()


@pytest.mark.parametrize("when", ["/blobs/uploads", "/manifests/sha256", "/manifests/2026-11-27", "/manifests/latest"])
def test_a_push_that_fails_leaves_the_old_tag(
    project: Path, registry: Address, capsys: pytest.CaptureFixture[str], when: str
) -> None:
    """Wherever a push breaks off, latest is the old artifact; the next push repairs everything."""
    reference = f"failing/{when.strip('/').replace('/', '-')}"
    assert main(["publish", f"{registry.host}/{reference}", *registry.options]) == 0
    there = remote(registry, reference)
    before = there.manifest("latest")
    changed = TABLE + f"oras.b,inner,anonymous,1,0,ok,{when}\n"
    (project / "results/oras/matrix.csv").write_text(changed, encoding="utf-8")

    with meddler(registry, refuse=lambda method, path: method in {"PUT", "POST"} and when in path) as proxy:
        assert main(["publish", f"{proxy.host}/{reference}", "--date", "2026-11-27", "--plain-http"]) == 2
    assert "disk full" in capsys.readouterr().err
    assert there.manifest("latest") == before
    assert main(["publish", f"{registry.host}/{reference}", "--date", "2026-11-27", *registry.options]) == 0
    assert there.manifest("latest") == there.manifest("2026-11-27") != before


def test_docker_s_configuration_is_used(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docker login left in $DOCKER_CONFIG or ~/.docker opens the registry."""
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    with docker_registry(tmp_path / "registry", password=True) as address:
        config = json.dumps({"auths": {address.host: {"auth": auth}}})
        (tmp_path / "home/.docker").mkdir(parents=True)
        (tmp_path / "home/.docker/config.json").write_text(config, encoding="utf-8")
        assert main(["publish", f"{address.host}/config/oras", *address.options]) == 0
        monkeypatch.setenv("DOCKER_CONFIG", str(project))
        assert main(["fetch", f"{address.host}/config/oras", *address.options]) == 2
        (project / "config.json").write_text(config, encoding="utf-8")
        assert main(["fetch", f"{address.host}/config/oras", *address.options]) == 0


@pytest.mark.usefixtures("project")
def test_a_password_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Right or wrong, credentials are in no output and no log, at any level."""
    caplog.set_level("DEBUG")
    with docker_registry(tmp_path / "registry", password=True) as address:
        assert main(["publish", f"{address.host}/secret/oras", *address.options]) == 2
        assert "docker login" in capfd.readouterr().err
        login(monkeypatch, password="hunter2")
        assert main(["publish", f"{address.host}/secret/oras", *address.options]) == 2
        login(monkeypatch)
        assert main(["publish", f"{address.host}/secret/oras", *address.options]) == 0
    shown = "".join(capfd.readouterr()) + caplog.text
    for secret in (PASSWORD, "hunter2", base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "oras",
        "team/oras",
        "https://ghcr.io/a/b",
        "ghcr.io/Team/oras",
        "ghcr.io/a/b:",
        "ghcr.io/a/b@sha256:12",
        "a b",
        "",
    ],
)
def test_what_is_no_reference_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A reference that cannot be parsed is one line that shows the form, exit 2."""
    assert main(["fetch", text]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "HOST[:PORT]/NAME" in message


def test_a_reference_with_a_password_is_not_repeated() -> None:
    """Somebody who puts credentials in a reference does not find them in a log."""
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse("ada:hunter2@ghcr.io/team/oras")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ghcr.io/team/oras", "latest"),
        ("localhost:5000/oras:0.2.43", "0.2.43"),
        (f"[::1]:5000/oras:x@{digest_of(b'')}", digest_of(b"")),
    ],
)
def test_references_are_parsed(text: str, what: str) -> None:
    """A digest is more exact than a tag, and latest is what nothing means."""
    assert Reference.parse(text).what == what


@pytest.mark.usefixtures("project")
def test_a_registry_that_is_not_there_is_one_quick_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens: exit 2 and what to look for, not a traceback, not minutes of retries."""
    assert main(["publish", "127.0.0.1:1/team/oras", "--plain-http"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "cannot be reached" in message


@pytest.mark.usefixtures("project")
def test_tls_failures_say_what_to_do(tmp_path: Path, registry: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown authority, a plain registry and a missing file of certificates are told apart."""
    with docker_registry(tmp_path / "registry", tls=True) as address:
        assert main(["fetch", f"{address.host}/team/oras"]) == 2
        assert "--ca-file" in capsys.readouterr().err
    assert main(["fetch", f"{registry.host}/team/oras"]) == 2
    assert "--plain-http" in capsys.readouterr().err
    assert main(["fetch", f"{registry.host}/team/oras", "--ca-file", "none.pem"]) == 2
    assert "none.pem" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_what_was_not_published_is_not_fetched(registry: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing there, and something else there, are one line each."""
    assert main(["fetch", f"{registry.host}/nothing/oras", *registry.options]) == 2
    assert "is not in the registry" in capsys.readouterr().err
    push_image(registry, "else/oras")
    assert main(["fetch", f"{registry.host}/else/oras:image", *registry.options]) == 2
    assert "no published matrix" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../matrix.csv", "/etc/passwd", "a/b.csv", ".hidden", "", "a\nb"])
@pytest.mark.usefixtures("project")
def test_a_layer_cannot_leave_the_folder(registry: Address, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A manifest that names a file elsewhere is refused before anything is fetched."""
    there = remote(registry, "escape/oras")
    there.put_empty_config({"mediaType": "text/csv", "digest": digest_of(b"{}"), "size": 2})
    layer = {"mediaType": "text/csv", "digest": digest_of(b"{}"), "size": 2}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": layer,
        "layers": [layer | {"annotations": {"org.opencontainers.image.title": name}}],
        "annotations": {"io.github.caliper-matrix.subject": "oras", "io.github.caliper-matrix.release": "1"},
    }
    there.put_manifest("latest", json.dumps(manifest).encode())
    assert main(["fetch", f"{registry.host}/escape/oras", *registry.options]) == 2
    assert "no plain file name" in capsys.readouterr().err


def test_diff_names_the_cells_that_turned(project: Path, registry: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells that differ from the local table are printed, with exit 1; equal tables are exit 0."""
    reference = f"{registry.host}/diff/oras"
    assert main(["publish", reference, *registry.options]) == 0
    assert main(["fetch", reference, "--diff", *registry.options]) == 0
    (project / "results/oras/matrix.csv").write_text(TABLE.replace("ok", "raised"), encoding="utf-8")
    capsys.readouterr()
    assert main(["fetch", reference, "--diff", *registry.options]) == 1
    assert "oras.a 0.1: ok -> raised" in capsys.readouterr().out
    assert main(["fetch", reference, "--diff", "--json", *registry.options]) == 1
    (cell,) = json.loads(capsys.readouterr().out)["turned"]
    assert cell == {"function": "oras.a", "release": "0.1", "before": "ok", "after": "raised"}
    assert not (project / "published").exists()


def test_turned_sees_rows_and_releases_come_and_go() -> None:
    """A new release or function is a cell that was not there; one that went is a cell that is not."""
    after = "function,tier,profiles,calls,unreplayable,0.2,0.3\noras.b,inner,anonymous,1,0,ok,ok\n"
    assert turned(TABLE.encode(), after.encode()) == [
        Turned("oras.a", "0.2", "missing", ""),
        Turned("oras.a", "0.1", "ok", ""),
        Turned("oras.b", "0.2", "", "ok"),
        Turned("oras.b", "0.3", "", "ok"),
    ]


@pytest.mark.parametrize("table", [b"", b"\xff", b"a,b\n1,2\n", b"function,tier,profiles,calls,unreplayable,1\nx,y\n"])
def test_turned_refuses_what_is_no_table(table: bytes) -> None:
    """Something else than matrix.csv is an error, not an empty comparison."""
    with pytest.raises(TableError, match=r"no matrix\.csv"):
        turned(table, TABLE.encode())


def test_the_artifact_is_a_function_of_the_files(project: Path) -> None:
    """The same files give the same bytes, whatever varies between runs."""
    traces = [project / "traces" / TRACE]
    before = collect(project / "results/oras", traces).manifest()
    (project / "results/oras/run.json").write_text('{"seconds": 9}', encoding="utf-8")
    (project / "results/oras/matrix.csv").touch()
    assert collect(project / "results/oras", traces).manifest() == before


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "results/oras/matrix.csv").unlink(), "nox -s matrix"),
        (lambda folder: (folder / "traces" / TRACE).unlink(), "--trace"),
        (lambda folder: (folder / "traces" / TRACE).write_bytes(b"no gzip"), "is no trace"),
        (lambda folder: (folder / "traces" / TRACE).write_bytes(gzip.compress(b"{}\n")), "no header"),
        (lambda folder: (folder / "traces/oras.releases.json").unlink(), "--date"),
        (lambda folder: write_trace(folder / "traces/b.trace.jsonl.gz", release="0.2.42"), "publish one"),
        (lambda folder: (folder / "results/oras" / TRACE).write_bytes(b""), "two files"),
    ],
    ids=["results", "trace", "gzip", "header", "date", "two", "twice"],
)
def test_what_cannot_be_published_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], told: str
) -> None:
    """What is missing or wrong in the folders is one line that says what to do, before any request."""
    spoil(project)
    assert main(["publish", "127.0.0.1:1/team/oras", "--plain-http"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert told in message


def test_a_day_is_a_day(project: Path) -> None:
    """A date that is none would be a tag that lies."""
    for date in ("yesterday", "2026-02-30", "20261120"):
        with pytest.raises(PublishError, match="is not a day"):
            collect(project / "results/oras", [project / "traces" / TRACE], date=date)


def test_a_folder_that_cannot_be_written_is_one_line(
    project: Path, registry: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder should be ends in exit 2."""
    assert main(["publish", f"{registry.host}/folder/oras", *registry.options]) == 0
    (project / "published").write_text("a file", encoding="utf-8")
    assert main(["fetch", f"{registry.host}/folder/oras", *registry.options]) == 2
    assert "cannot be written" in capsys.readouterr().err
