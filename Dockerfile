# `docker run caliper-matrix` is `nox -s matrix` in a box; docs/container.md tells the rest.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG PYTHONS=""
ENV UV_CACHE_DIR=/var/cache/uv \
    UV_PYTHON_INSTALL_DIR=/opt/caliper/pythons \
    UV_BUILD_CONSTRAINT=/opt/caliper/container/build-requirements.txt \
    XDG_CACHE_HOME=/opt/caliper/cache
WORKDIR /opt/caliper
COPY container/requirements.txt container/build-requirements.txt container/pythons.py container/
RUN python3 -m venv /opt/boot \
 && awk '/^uv==/, !/\\$/' container/requirements.txt >/opt/boot/uv.txt \
 && /opt/boot/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes --requirement /opt/boot/uv.txt \
 && /opt/boot/bin/uv venv --quiet --python "$(command -v python3)" .nox/engine \
 && /opt/boot/bin/uv pip sync --quiet --python .nox/engine/bin/python --require-hashes container/requirements.txt \
 && .nox/engine/bin/python container/pythons.py ${PYTHONS}
COPY LICENSE README.md noxfile.py pyproject.toml ./
COPY matrix matrix
COPY traces traces
COPY container/tidy.py container/
# For `diff` and the like. Requests, unlike uv, does not look at the variable by which an image is told whom to trust.
RUN .nox/engine/bin/python -P -m nox -s engine \
 && REQUESTS_CA_BUNDLE="${SSL_CERT_FILE:-}" .nox/engine/bin/python -P -m matrix signatures
# In one step, so in one layer: what the environments share lies on the disk once.
RUN .nox/engine/bin/python -P -m nox -s matrix \
 && .nox/engine/bin/python container/tidy.py /opt/caliper

FROM ${BASE_IMAGE}
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="caliper-matrix" \
      org.opencontainers.image.description="Which releases of a package your code really works with, function by function" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/caliper /opt/caliper
COPY container/entrypoint.py /opt/caliper/container/
# The standard library's bytecode: an official base image has none, and a read-only container would compile it each time.
RUN python3 -m compileall -q -x 'site-packages|dist-packages|/test|/idlelib|/lib2to3|/tkinter|/turtledemo|/ensurepip' "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && mkdir /results \
 && chown 10001:10001 /results \
 && echo 'caliper:x:10001:10001::/tmp:/usr/sbin/nologin' >>/etc/passwd \
 && echo 'caliper:x:10001:' >>/etc/group
ENV UV_PYTHON_INSTALL_DIR=/opt/caliper/pythons
VOLUME /results
# Root only to hand the results to the owner of a mounted folder: whatever runs, runs as 10001 (container/entrypoint.py).
ENTRYPOINT ["/opt/caliper/.nox/engine/bin/python", "-I", "/opt/caliper/container/entrypoint.py"]
