"""Nothing that comes over the wire stops the kernel."""

import hashlib
import hmac
import json

import kernels


def parts(key, header, content=b"{}", parent=b"{}", metadata=b"{}", signature=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = [header, parent, metadata, content]
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in body:
        digest.update(part)
    return [b"<IDS|MSG>", signature or digest.hexdigest().encode(), *body]


def header(kind):
    return {"msg_id": "m", "username": "u", "session": "s", "date": "2024-01-01T00:00:00Z", "msg_type": kind, "version": "5.3"}


def test_malformed_messages_are_left_aside(kernel):
    key = kernel.client.session.key
    signed = lambda *arguments, **keywords: parts(key, *arguments, **keywords)
    for channel in (kernel.client.shell_channel, kernel.client.control_channel, kernel.client.stdin_channel):
        socket = channel.socket
        socket.send(b"")
        socket.send(b"nonsense")
        socket.send_multipart([b"<IDS|MSG>"])
        socket.send_multipart([b"<IDS|MSG>", b"zz"])
        socket.send_multipart([b"a"] * 50)
        socket.send_multipart(signed(header("execute_request"), content=b'{"code": "std::process::exit(3)"}', signature=b"0" * 64))
        socket.send_multipart(signed(header("execute_request"), content=b'{"code": "std::process::exit(3)"}', signature=b"not hex"))
        socket.send_multipart(signed(b"no json"))
        socket.send_multipart(signed({"msg_type": "execute_request"}))
        socket.send_multipart(signed(header("kernel_info_request"), content=b"\xff\xfe"))
        socket.send_multipart(signed(header("no_such_request")))
        socket.send_multipart(signed(header("comm_open"), content=b'{"comm_id": "c", "target_name": "t"}'))
        socket.send_multipart(signed(header("execute_request"), content=b"{}"))
        socket.send_multipart(signed(header("execute_request"), content=b"[]"))
        socket.send_multipart(signed(header("complete_request"), content=b'{"code": "x", "cursor_pos": 99999}'))
        socket.send_multipart(signed(header("inspect_request"), content=b'{"code": "\\u044f", "cursor_pos": 1}'))
        socket.send_multipart(signed(header("history_request"), content=b'{"hist_access_type": "tail"}'))
        socket.send_multipart(signed(header("interrupt_request"), content=b"null"))
    assert kernel.ok("40 + 2").result == "42"


def test_raw_bytes_on_every_port_do_no_harm(kernel):
    import socket

    info = kernel.manager.get_connection_info()
    for name in ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"):
        for junk in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 300):
            with socket.create_connection((info["ip"], info[name]), timeout=5) as raw:
                raw.sendall(junk)
    assert kernel.ok("1").result == "1"
    assert kernel.client.is_alive() and kernels.wait_for(kernel.client.hb_channel.is_beating)


def test_a_cell_of_a_megabyte(kernel):
    text = "x" * 1_000_000
    assert kernel.ok(f'"{text}".len()', timeout=120).result == "1000000"
    cell = kernel.run("// " + "я" * 500_000 + "\n7", timeout=120)
    assert cell.result == "7"


def test_deep_nesting_and_an_empty_cell(kernel):
    assert kernel.run("(" * 300 + "1" + ")" * 300, timeout=120).reply["status"] in ("ok", "error")
    for code in ("", "\n\n", "// nothing", ";"):
        assert kernel.run(code).status == "ok", code
    assert kernel.ok("2").result == "2"


def test_completion_and_inspection_of_anything(kernel):
    for code in ("", "я", "let x = \"", ":dep", "}{", "x." * 200, "\0"):
        kernel.client.complete(code)
        kernel.client.inspect(code)
        kernel.client.is_complete(code)
        for _ in range(3):
            assert kernel.client.get_shell_msg(timeout=30)["content"]
    assert kernel.ok("3").result == "3"


def test_a_client_that_goes_away_stops_nobody(kernel):
    other = kernel.manager.client()
    other.start_channels()
    other.wait_for_ready(timeout=60)
    other.execute('for n in 0..200_000 { println!("{n}"); }')
    other.stop_channels()
    assert kernel.ok("4", timeout=60).result == "4"


def test_ten_thousand_small_requests(kernel):
    for _ in range(2_000):
        kernel.client.is_complete("x")
    replies = [kernel.client.get_shell_msg(timeout=30) for _ in range(2_000)]
    assert {reply["content"]["status"] for reply in replies} == {"complete"}
