"""A cell can ask for a line."""

import kernels

ASK = 'println!("EVCXR_INPUT_REQUEST:Your name"); let mut name = String::new(); std::io::stdin().read_line(&mut name)?; println!("<{}>", name.trim());'


def answer(kernel, code, value, **keywords):
    request = kernel.send(code, allow_stdin=True, **keywords)
    asked = kernel.client.get_stdin_msg(timeout=20)
    assert asked["msg_type"] == "input_request"
    kernel.client.input(value)
    return asked["content"], kernel.collect(request)


def test_a_line_is_asked_for_and_read(kernel):
    asked, cell = answer(kernel, ASK, "Аня")
    assert asked == {"prompt": "Your name", "password": False}
    assert cell.status == "ok" and cell.out == "<Аня>\n"


def test_a_password(kernel):
    asked, cell = answer(kernel, ASK.replace("REQUEST", "REQUEST_PASSWORD"), "x\ny")
    assert asked["password"] is True and cell.out == "<x y>\n"


def test_twice_in_one_cell(kernel):
    request = kernel.send("{" + ASK + "}{" + ASK + "}", allow_stdin=True)
    for value in ("a", "b"):
        kernel.client.get_stdin_msg(timeout=20)
        kernel.client.input(value)
    assert kernel.collect(request).out == "<a>\n<b>\n"


def test_a_client_without_input_gets_an_empty_line(kernel):
    cell = kernel.ok(ASK, allow_stdin=False)
    assert cell.out == "<>\n" and "can't be asked" in cell.err


def test_an_interrupt_answers_with_an_empty_line(kernel):
    request = kernel.send(ASK, allow_stdin=True)
    kernel.client.get_stdin_msg(timeout=20)
    kernel.interrupt()
    assert kernel.collect(request).out == "<>\n"
