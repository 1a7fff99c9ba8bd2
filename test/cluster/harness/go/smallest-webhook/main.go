// The smallest Go program that could be a webhook: it parses the body as far as the uid and answers with a constant patch.
// test/bench measures Pullpass beside it.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
)

type review struct {
	Request struct {
		UID string `json:"uid"`
	} `json:"request"`
}

const (
	beforeUID = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"`
	afterUID  = `","allowed":true,"patchType":"JSONPatch","patch":"`
	end       = `"}}`
)

// The arguments: address, certificate, key, and the patch in base64.
func main() {
	address, certificate, key, patch := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	http.HandleFunc("/mutate", func(response http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		var received review
		if err := json.Unmarshal(body, &received); err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		response.Header().Set("Content-Type", "application/json")
		io.WriteString(response, beforeUID+received.Request.UID+afterUID+patch+end)
	})
	// wrk first tries whether it can connect, without a handshake.
	server := http.Server{Addr: address, ErrorLog: log.New(io.Discard, "", 0)}
	log.Fatal(server.ListenAndServeTLS(certificate, key))
}
