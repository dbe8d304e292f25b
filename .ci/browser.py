"""Between the browser and the download route: serves a page with a player, and notes each answer to it.

browser.py PORT PORT-OF-THE-ROUTE LINK FOLDER
"""

import http.client
import http.server
import sys
import threading
import urllib.parse

port, route, link, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
played = threading.Event()
# The picture is taken when the page is loaded, for which the image waits until the film has played.
PAGE = f"""<!DOCTYPE html><title>player</title><body style="margin:0;font:16px sans-serif">
<video id="film" muted width="640" height="360" src="{link.replace("&", "&amp;")}"></video>
<p id="told">loading</p><img src="/played-yet" alt="">
<script>
const film = document.getElementById('film');
const tell = text => {{ document.getElementById('told').textContent = text; return fetch('/played?' + encodeURIComponent(text)); }};
let seeked = false;
film.onloadedmetadata = () => {{ film.currentTime = film.duration / 2; }};
film.onseeked = () => {{ seeked = true; film.play(); }};
film.onerror = () => tell('failed: ' + film.error.message);
film.ontimeupdate = () => {{
  if (seeked && film.currentTime > film.duration / 2 + 1) {{
    film.ontimeupdate = null;
    tell('played ' + film.currentTime.toFixed(2) + ' of ' + film.duration.toFixed(0) + ' seconds, seeked to the middle');
  }}
}};
</script>""".encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/page":
            return self.say(200, PAGE, "text/html")
        if self.path.startswith("/played?"):
            text = urllib.parse.unquote(self.path.split("?", 1)[1])
            with open(f"{folder}/played", "w") as file:
                file.write(text)
            played.set()
            return self.say(204, b"", "text/plain")
        if self.path == "/played-yet":
            played.wait(60)
            return self.say(404, b"", "text/plain")
        if self.path.startswith("/files/"):
            return self.pass_on()
        return self.say(404, b"", "text/plain")

    def say(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self):
        server = http.client.HTTPConnection("127.0.0.1", route)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "host")}
        server.request("GET", self.path, headers=headers)
        answer = server.getresponse()
        with open(f"{folder}/answers", "a") as file:
            asked, given = self.headers.get("Range"), answer.getheader("Content-Range")
            file.write(f"{answer.status} {given} for {asked}\n")
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        try:
            while piece := answer.read(64 << 10):
                self.wfile.write(piece)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # it has seen enough and jumps
        finally:
            server.close()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
