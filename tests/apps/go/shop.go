// The book shop as an app behind a proxy, with nothing but Go's own library: who calls is read
// from request headers, and the session is changed by response headers.
//
//	shop PORT
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
)

type object map[string]any

// The session; nil when anonymous. An absent header says the same as an empty one.
func session(request *http.Request) (session object) {
	text, err := base64.RawURLEncoding.DecodeString(request.Header.Get("Sidegate-Session"))
	if err == nil && len(text) > 0 {
		_ = json.Unmarshal(text, &session)
	}
	return session
}

// A field of a form or of a JSON body.
func field(request *http.Request, name string) string {
	if !strings.HasPrefix(request.Header.Get("Content-Type"), "application/json") {
		return request.PostFormValue(name)
	}
	var fields object
	_ = json.NewDecoder(request.Body).Decode(&fields)
	value, _ := fields[name].(string)
	return value
}

// Asks for a change of the session by the answer to this request. JSON goes into the header as
// base64url, so that a name outside of ASCII gets there whole.
func change(response http.ResponseWriter, request *http.Request, kind string, value any) {
	text, isText := value.(string)
	if !isText {
		document, _ := json.Marshal(value)
		text = base64.RawURLEncoding.EncodeToString(document)
	}
	response.Header().Set("Sidegate-Session-"+kind, text)
	response.Header().Set("Sidegate-Call", request.Header.Get("Sidegate-Call"))
}

func answer(response http.ResponseWriter, status int, body object) {
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	_ = json.NewEncoder(response).Encode(body)
}

func main() {
	shop := http.NewServeMux()
	shop.HandleFunc("POST /login", func(response http.ResponseWriter, request *http.Request) {
		user, role := field(request, "user"), "user"
		if user == "" {
			answer(response, 400, object{"error": "who is it?"})
			return
		}
		if user == "admin" {
			role = "admin"
		}
		change(response, request, "Set", object{"subject": "local/" + user, "claims": object{"role": role}})
		answer(response, 200, object{"signed_in": user})
	})
	shop.HandleFunc("GET /me", func(response http.ResponseWriter, request *http.Request) {
		answer(response, 200, object{
			"app": "go", "subject": request.Header.Get("Sidegate-Subject"), "session": session(request),
		})
	})
	shop.HandleFunc("PATCH /me/theme", func(response http.ResponseWriter, request *http.Request) {
		theme := object{"theme": field(request, "theme")}
		change(response, request, "Patch", theme)
		answer(response, 200, theme)
	})
	shop.HandleFunc("POST /logout", func(response http.ResponseWriter, request *http.Request) {
		change(response, request, "Clear", "this")
		answer(response, 200, object{"signed_out": request.Header.Get("Sidegate-Subject")})
	})
	shop.HandleFunc("DELETE /books/{id}", func(response http.ResponseWriter, request *http.Request) {
		answer(response, 200, object{
			"deleted": request.PathValue("id"), "by": request.Header.Get("Sidegate-Subject"),
		})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("ready http://%s\n", listener.Addr())
	fmt.Fprintln(os.Stderr, http.Serve(listener, shop))
}
