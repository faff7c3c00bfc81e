"""The protocol's own test suite, for what this kernel claims."""

import jupyter_kernel_test
import kernels

DISPLAY = r"""println!("\u{1e}svertka {{\"type\":\"display\",\"id\":\"d\",\"data\":{{\"image/png\":\"aGk=\",\"text/plain\":\"p\"}}}}");"""


class ProtocolTests(jupyter_kernel_test.KernelTests):
    kernel_name = kernels.NAME
    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("oops");'
    completion_samples = [{"text": ":hel", "matches": {":help"}}]
    complete_code_samples = ["1", "let x = vec![1, 2];", "fn f() {\n}", 'println!("{{");']
    incomplete_code_samples = ["fn f() {", "let x =", 'println!("a', "/* x"]
    invalid_code_samples = ["}", "(]"]
    code_generate_error = 'panic!("no")'
    code_execute_result = [{"code": "6 * 7", "result": "42"}, {"code": '"яx"', "result": '"яx"'}, {"code": "6 * 8", "result": "48"}]
    code_display_data = [{"code": DISPLAY, "mime": "image/png"}]
    code_inspect_sample = "u8"


class WelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = kernels.NAME
    support_iopub_welcome = True
