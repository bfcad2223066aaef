"""From a path or URL to the bytes of a source, or a message that says what is wrong and what would be right.

Downloads are over https only, bounded in bytes, silence and time. What comes instead of a file (a page to log
in, an archive, a pointer of Git LFS) is named.
"""

import hashlib
import http.client
import pathlib
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

MOST_BYTES = 64 * 1024 * 1024
MOST_SECONDS = 900
PIECE = 64 * 1024


class SourceError(Exception):
    """A message for the user; get-data ends with exit code 2."""


class Content:
    """The bytes of a source, where they are from (without secrets) and their digest."""

    def __init__(self, origin, data, identity=None):
        self.origin = origin
        self.data = data
        self.identity = identity or origin  # what SOURCES.json tells: a file's whole path
        self.sha256 = hashlib.sha256(data).hexdigest()


def fetch(where, silence_seconds):
    """Reads a local file, or downloads. Raises SourceError."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", where)
    if not scheme:
        content = _read_file(pathlib.Path(where).expanduser())
    elif scheme[1].lower() == "file":
        content = _read_file(pathlib.Path(urllib.request.url2pathname(urllib.parse.urlsplit(where).path)))
    elif scheme[1].lower() == "https":
        content = _download(where, silence_seconds)
    else:
        raise SourceError(
            f"{_shown(where)}: {scheme[1]} is not taken, as anyone between could change the data. "
            "Right is https://..., or a file that you have."
        )
    _check_nature(content)
    return content


def _read_file(path):
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; a data file is needed.")
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise SourceError(f"{path}: has more than {MOST_BYTES:,} bytes, which no source has.")
        return Content(str(path), data, str(path.resolve()))
    except FileNotFoundError:
        raise SourceError(
            f"{path}: there is no such file. Right is the path of a data file, or its URL."
        ) from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}.") from error


def _shown(url):
    """Without what may be secret: user, password, query and fragment."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urllib.parse.urlsplit(newurl).scheme != "https":
            raise SourceError(f"{_shown(req.full_url)}: redirects to {_shown(newurl)}, which is not https.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url, silence_seconds):
    origin = _shown(url)
    if "@" in urllib.parse.urlsplit(url).netloc:
        raise SourceError(
            f"{origin}: a user or password in the URL is not taken. Download the file and give that."
        )
    try:
        request = urllib.request.Request(
            url, headers={"User-Agent": "dln-get-data", "Accept-Encoding": "identity"}
        )
        # Certificates are checked against the system's (or SSL_CERT_FILE's); proxies are the environment's.
        opener = urllib.request.build_opener(_OnlyHttps)
        with opener.open(request, timeout=silence_seconds) as response:
            data = _read_body(origin, response)
    except urllib.error.HTTPError as error:
        hint = (
            " Does it want a login? Download it with your browser and give the file."
            if error.code in (401, 403)
            else ""
        )
        raise SourceError(f"{origin}: the server answers {error.code} {error.reason}.{hint}") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise SourceError(f"{origin}: {_reason(error, silence_seconds)}") from error
    return Content(origin, data)


def _read_body(origin, response):
    length = response.headers.get("Content-Length", "")
    announced = int(length) if length.isdigit() else None
    too_large = f"{origin}: has more than {MOST_BYTES:,} bytes, which no source has. Is the address right?"
    if announced is not None and announced > MOST_BYTES:
        raise SourceError(too_large)
    pieces, size, end = [], 0, time.monotonic() + MOST_SECONDS
    while piece := response.read1(PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raise SourceError(too_large)
        if time.monotonic() > end:
            raise SourceError(f"{origin}: only {size:,} bytes came in {MOST_SECONDS} s. Try again later.")
    if announced is not None and size != announced:
        raise SourceError(
            f"{origin}: the download is cut off: {size:,} of {announced:,} bytes came. Try again."
        )
    return b"".join(pieces)


def _reason(error, silence_seconds):
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    offline = " Without a network: get the file on another machine and give it with --from."
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {cause.verify_message}."
    if isinstance(cause, TimeoutError):
        return f"nothing came for {silence_seconds:g} s (--timeout). Try again later.{offline}"
    if isinstance(cause, socket.gaierror):
        return f"the host cannot be found: {cause.strerror}.{offline}"
    if isinstance(cause, (http.client.IncompleteRead, ConnectionResetError, http.client.RemoteDisconnected)):
        return "the connection broke before all was there. Try again."
    if isinstance(cause, ValueError):
        return f"is no URL: {cause}."
    return f"cannot be reached: {getattr(cause, 'strerror', None) or cause}.{offline}"


def _check_nature(content):
    start = content.data[:2048].lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = start.lower()
    fault = ""
    if not content.data.strip():
        fault = "is empty."
    elif lower.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")):
        title = re.search(rb"<title[^>]*>([^<]{1,80})", content.data[:65536], re.IGNORECASE)
        named = " ".join(title[1].decode("utf-8", "replace").split()) if title else ""
        named = "".join(one for one in named if one.isprintable())
        fault = f'is a web page{f" ({named})" if named else ""} and no data; does the address want a login? '
        fault += "Right is the address of the raw file."
    elif start.startswith(b"version https://git-lfs"):
        fault = "is a pointer of Git LFS, not the file: run git lfs pull, or download the file itself."
    elif (
        start.startswith((b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf"))
        or b"ustar" in start[257:263]
    ):
        fault = "is an archive: unpack it and give the files inside."
    elif b"\x00" in content.data[:65536]:
        fault = "is a binary file; a text file is needed."
    if fault:
        raise SourceError(f"{content.origin}: {fault}")
