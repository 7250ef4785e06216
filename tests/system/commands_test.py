"""What `confab` answers on the command line before any server runs."""

import os
import subprocess
import tempfile

CONFAB = os.environ["CONFAB"]


def confab(*arguments):
    done = subprocess.run([CONFAB, *arguments], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout, done.stderr


def expect(condition, what, answer):
    assert condition, f"{what}: {answer}"


def help_and_version_succeed():
    answer = confab("--version")
    expect(answer == (0, "confab 0.1.0\n", ""), "--version", answer)
    for arguments in (["--help"], ["serve", "--help"], ["check", "--help"]):
        answer = confab(*arguments)
        expect(answer[0] == 0 and "Usage: confab" in answer[1], arguments, answer)
    answer = confab("serve", "--help")
    expect("--net.port" in answer[1] and "Default: 8080" in answer[1], "serve --help", answer)


def wrong_usage_is_status_2():
    for arguments, text in (
        ([], "Usage: confab"),
        (["sevre"], "sevre"),
        (["check"], "DIR"),
        (["serve", "--net.port=1", "--net.port=2"], "--net.port"),
        (["serve", "--net.port"], "--net.port: has no value"),
        (["serve", "--port=1"], "--port: no such option; did you mean net.port?"),
        (["serve", "--config-file=/nonexistent.ini"], "/nonexistent.ini: cannot be read"),
        (["serve", "--net.address=0.0.0.0"], "every conversation"),
        (["serve", "--cluster.port=7000"], "--cluster.port: needs redis.role = log and redis.address"),
        (["serve", "--cluster.port=7000", "--redis.role=log", "--redis.address=h:1", "--cluster.address=10.0.0.1"],
         "--cluster.address: 10.0.0.1 is not a loopback address, and a node refuses to listen for peers on a public "
         "address without"),
        (["serve", "--cluster.certificate=/nonexistent.pem", "--cluster.key=/nonexistent.pem",
          "--cluster.ca=/nonexistent.pem"], "--cluster.ca: /nonexistent.pem cannot be read"),
    ):
        answer = confab(*arguments)
        expect(answer[0] == 2 and text in answer[2], arguments, answer)


def every_mistake_is_told_at_once():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "c.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[net]\nport = 70000\nthreds = 1\n")
        answer = confab("serve", "--config-file", path, "--log.level=loud", "--net.prot", "3")
        lines = answer[2].splitlines()
        expect(answer[0] == 2 and len(lines) == 4, "four mistakes", answer)
        expect(f"{path}:2: net.port: 70000 is out of range; a number from 0 to 65535 is needed" in lines,
               "the first one", answer)


def a_log_that_is_not_there_cannot_be_checked():
    with tempfile.TemporaryDirectory() as directory:
        answer = confab("check", os.path.join(directory, "nothing"))
        expect(answer[0] == 2 and answer[2], "check", answer)


for test in (help_and_version_succeed, wrong_usage_is_status_2, every_mistake_is_told_at_once,
             a_log_that_is_not_there_cannot_be_checked):
    test()
    print("ok", test.__name__)
