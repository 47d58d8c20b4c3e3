// The online chat of every WebSocket tutorial, and the whole of the plain protocol.
const socket = new WebSocket(new URL("ws" + location.search, document.baseURI.replace(/^http/, "ws")));
const input = document.getElementById("input");

socket.onmessage = (event) => {
  const item = document.createElement("li");
  item.textContent = event.data;
  document.getElementById("messages").append(item);
};

document.getElementById("form").onsubmit = (event) => {
  event.preventDefault();
  socket.send(input.value);
  input.value = "";
};
