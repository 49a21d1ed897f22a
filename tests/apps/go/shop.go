// The book shop as an app behind a proxy, with nothing but Go's own library: who calls is read
// from request headers, and the session is changed by response headers; or, where the proxy shows
// nobody its responses, by the session API that a file names: {"url": .., "token": ..}.
//
//	shop PORT [FILE]
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

type object map[string]any

var api *struct{ URL, Token string }

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

// The message of the session API for a change, and its verb.
func message(call []byte, kind string, value any) (string, object) {
	body := object{"call": call}
	document, _ := json.Marshal(value)
	switch kind {
	case "Set":
		namespace, id, _ := strings.Cut(value.(object)["subject"].(string), "/")
		claims, _ := json.Marshal(value.(object)["claims"])
		body["signIn"] = object{
			"subject":    object{"namespace": namespace, "id": id},
			"claimsJson": claims, "authTime": time.Now().UTC().Format(time.RFC3339),
		}
	case "Patch":
		body["patch"] = object{"setJson": document}
	default:
		body["scope"] = "CLEAR_SCOPE_" + strings.ToUpper(value.(string))
		return "ClearSession", body
	}
	return "SetSession", body
}

// Changes the session at once; the answer gets the cookies.
func write(response http.ResponseWriter, call, kind string, value any) error {
	handle, err := base64.RawURLEncoding.DecodeString(call)
	if err != nil {
		return err
	}
	verb, body := message(handle, kind, value)
	document, _ := json.Marshal(body)
	url := api.URL + "/sidegate.v1.SessionService/" + verb
	asked, err := http.NewRequest("POST", url, bytes.NewReader(document))
	if err != nil {
		return err
	}
	asked.Header.Set("Content-Type", "application/json")
	asked.Header.Set("Authorization", "Bearer "+api.Token)
	answered, err := http.DefaultClient.Do(asked)
	if err != nil {
		return err
	}
	defer answered.Body.Close()
	var written struct{ Updates []map[string]object }
	if err := json.NewDecoder(answered.Body).Decode(&written); err != nil || answered.StatusCode != 200 {
		return fmt.Errorf("%s: %v", answered.Status, err)
	}
	for _, update := range written.Updates {
		for _, cookie := range update {
			if value, ok := cookie["headerValue"].(string); ok {
				response.Header().Add("Set-Cookie", value)
			}
		}
	}
	return nil
}

// Asks for a change of the session by the answer to this request. JSON goes into the header as
// base64url, so that a name outside of ASCII gets there whole.
func change(response http.ResponseWriter, request *http.Request, kind string, value any) {
	if api != nil {
		if err := write(response, request.Header.Get("Sidegate-Call"), kind, value); err != nil {
			panic(err)
		}
		return
	}
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
	if len(os.Args) > 2 {
		document, err := os.ReadFile(os.Args[2])
		if err == nil {
			err = json.Unmarshal(document, &api)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
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
