// The Socket.IO server that is measured: rooms, publishes with acknowledgements, and connection
// state recovery as its documentation sets it up.
//
//   node server.mjs PORT      port 0 picks a free one; `listening on http://…` when ready
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, {
  // The documentation's values.
  connectionStateRecovery: { maxDisconnectionDuration: 2 * 60 * 1000, skipMiddlewares: true },
  // Browsers would begin with long-polling and upgrade: that costs the server more.
  transports: ["websocket"],
  serveClient: false,
  // Off by default as well; said because it decides about memory and CPU.
  perMessageDeflate: false,
});

// "Discard the initial HTTP request" (its performance page): a few KiB of each connection.
io.engine.on("connection", (raw) => {
  raw.request = null;
});

io.on("connection", (socket) => {
  socket.on("follow", (conversation) => {
    socket.join(conversation);
    // Carries an offset, from which a recovery can start.
    socket.emit("following");
  });
  socket.on("publish", (conversation, payload, acknowledge) => {
    io.to(conversation).emit("entry", conversation, payload);
    acknowledge(true);
  });
});

http.listen(Number(process.argv[2] ?? 0), "127.0.0.1", 4096, () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
