// A stand-in for the daemon behind CNI's dhcp plugin: it speaks that daemon's RPC over the
// socket in its argument, hands out one fixed address and prints every call.
package main

import (
	"fmt"
	"net"
	"net/http"
	"net/rpc"
	"os"
)

// The fields that travel, named as in the CNI library's skel.CmdArgs and types/100.
type CmdArgs struct {
	ContainerID, Netns, IfName, Args, Path string
	StdinData                              []byte
}

type IPConfig struct {
	Address net.IPNet
	Gateway net.IP
}

type Result struct {
	CNIVersion string
	IPs        []*IPConfig
}

type DHCP struct{}

func (DHCP) Allocate(args *CmdArgs, result *Result) error {
	fmt.Println("allocate", args.ContainerID, args.Netns, args.IfName)
	result.CNIVersion = "1.0.0"
	result.IPs = []*IPConfig{{
		Address: net.IPNet{IP: net.IPv4(10, 82, 0, 9).To4(), Mask: net.CIDRMask(24, 32)},
		Gateway: net.IPv4(10, 82, 0, 1).To4(),
	}}
	return nil
}

func (DHCP) Release(args *CmdArgs, reply *struct{}) error {
	fmt.Println("release", args.ContainerID)
	return nil
}

func main() {
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		panic(err)
	}
	if err := rpc.RegisterName("DHCP", DHCP{}); err != nil {
		panic(err)
	}
	rpc.HandleHTTP()
	fmt.Println("ready")
	panic(http.Serve(listener, nil))
}
