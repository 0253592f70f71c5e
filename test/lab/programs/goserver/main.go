// A Go server that answers every HTTP/1.1 request with a body of fixed size. Since Go 1.24 its listener is an MPTCP
// socket wherever the kernel has MPTCP, while connections from ordinary clients are plain TCP sockets.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
)

func serve(connection net.Conn, answer []byte) {
	defer connection.Close()
	requests := bufio.NewScanner(connection)
	for requests.Scan() {
		if requests.Text() != "" {
			continue
		}
		if _, err := connection.Write(answer); err != nil {
			return
		}
	}
}

func main() {
	size, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	answer := append([]byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)), make([]byte, size)...)
	listener, err := net.Listen("tcp", ":"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection, answer)
	}
}
