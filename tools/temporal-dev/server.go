package main

import (
	"net"
	"strconv"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"go.uber.org/zap"
)

const (
	clusterName = "active"
	loopback    = "127.0.0.1"
)

// oneNodeConfig holds what differs from the server's defaults, which are made for a cluster.
func oneNodeConfig() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// Further partitions spread a queue over nodes; on one node they only cost forwarding.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// A worker that starts or advances a workflow gets the next task in the same answer.
		dynamicconfig.EnableActivityEagerExecution.Key(): true,
		dynamicconfig.EnableEagerWorkflowStart.Key():     true,
		// A search attribute can be used as soon as it is registered. Each read then asks the
		// database, so the limits on queries are raised.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():               10_000,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                50_000,
		// Lists of workflows: 10 a second is too few for a console beside the Web UI.
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		// Workflows kept in memory: the default of 128,000 is a whole server's.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 8_192,
		// The server asks no other host anything.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
	}
}

func newLogger(s *settings) (log.Logger, error) {
	encoding := "console"
	if s.logFormat == "json" {
		encoding = "json"
	}
	built, err := zap.Config{
		Level:         s.logLevel,
		Encoding:      encoding,
		EncoderConfig: log.DefaultZapEncoderConfig,
		OutputPaths:   []string{"stderr"},
		DisableCaller: true,
	}.Build()
	if err != nil {
		return nil, err
	}
	return log.NewZapLogger(built), nil
}

// newServer makes a server with all four services in this process. Only the frontend listens on
// the address asked for, there with gRPC and, on a free port, HTTP; the other three are reached
// over loopback alone.
func newServer(s *settings, store *store, logger log.Logger) (temporal.Server, error) {
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	frontend := reachable(s.ip, s.port)
	services := map[string]config.Service{
		"frontend": {RPC: config.RPC{BindOnIP: s.ip, GRPCPort: s.port, HTTPPort: ports[3]}},
	}
	hosts := map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: static.SingleLocalHost(frontend),
	}
	for i, name := range []primitives.ServiceName{
		primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		services[string(name)] = config.Service{RPC: config.RPC{BindOnIP: loopback, GRPCPort: ports[i]}}
		hosts[name] = static.SingleLocalHost(reachable(loopback, ports[i]))
	}

	disabled := config.ArchivalNamespaceDefaults{
		History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
		Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
	}
	conf := &config.Config{
		Persistence: store.persistence(),
		Services:    services,
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {
					Enabled:                true,
					InitialFailoverVersion: 1,
					RPCAddress:             frontend,
					HTTPAddress:            reachable(s.ip, ports[3]),
				},
			},
		},
		PublicClient:        config.PublicClient{HostPort: frontend},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: disabled},
	}
	conf.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback}
	if s.metricsPort > 0 {
		conf.Global.Metrics = &metrics.Config{
			Prometheus: &metrics.PrometheusConfig{ListenAddress: reachable(s.ip, s.metricsPort), HandlerPath: "/metrics"},
		}
	}
	return temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(s.dynamicConfig),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
	)
}

// freePorts holds all the ports at once, so that no two are the same.
func freePorts(count int) ([]int, error) {
	ports := make([]int, count)
	for i := range ports {
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// reachable is the address under which this process connects to what listens on ip, which may
// stand for every interface.
func reachable(ip string, port int) string {
	if address := net.ParseIP(ip); address != nil && address.IsUnspecified() {
		ip = loopback
		if address.To4() == nil {
			ip = "::1"
		}
	}
	return net.JoinHostPort(ip, strconv.Itoa(port))
}

func bracketed(ip string) string {
	if address := net.ParseIP(ip); address != nil && address.To4() == nil {
		return "[" + ip + "]"
	}
	return ip
}
