// A server for tests in JavaScript: CONFAB names the program; it listens on a free port of the loopback.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = process.env.CONFAB ?? fileURLToPath(new URL("../../build/release/confab", import.meta.url));

/** Starts it in this directory. `port` 0: a free one. */
export async function serve(directory, ...options) {
  return new Server(directory, options).start();
}

class Server {
  constructor(directory, options) {
    this.directory = directory;
    this.options = options;
    this.port = 0;
  }

  async start() {
    this.process = spawn(
      program,
      ["serve", `--store.directory=${this.directory}`, "--net.address=127.0.0.1", `--net.port=${this.port}`, "--log.level=warn",
       ...this.options],
      { stdio: ["ignore", "pipe", "inherit"] });
    this.ended = new Promise((resolve) => this.process.once("exit", (code, signal) => resolve(signal ?? code)));
    let text = "";
    const line = new Promise((resolve, reject) => {
      this.process.stdout.on("data", (data) => {
        text += data;
        const found = text.match(/listening on (http:\S+)/);
        if (found) resolve(found[1]);
      });
      this.ended.then((status) => reject(new Error(`the server ended with ${status}: ${text}`)));
    });
    this.url = await line;
    this.port = Number(new URL(this.url).port);
    return this;
  }

  running() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** On the same port, with the same directory, after this signal. */
  async restart(signal) {
    this.process.kill(signal);
    await this.ended;
    return this.start();
  }

  async stop() {
    if (this.running()) this.process.kill("SIGTERM");
    return this.ended;
  }
}
