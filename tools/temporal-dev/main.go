// Command temporal-dev is a Temporal server with its Web UI in one process, for machines on which
// the official command-line tool is not to be had. It takes the flags of that tool's development
// server, so an SDK's test environment can start it in its stead:
//
//	temporal-dev server start-dev --db-filename temporal.db
//
// It differs where one node and thirty days of history want other defaults; see --help.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/headers"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

type settings struct {
	ip, uiIP         string
	port, uiPort     int
	metricsPort      int
	headless         bool
	codecEndpoint    string
	namespaces       []string
	retention        time.Duration
	searchAttributes map[string]enumspb.IndexedValueType
	dbFile           string
	postgresURL      string
	pragmas          map[string]string
	allIndexes       bool
	dynamicConfig    dynamicconfig.StaticClient
	logLevel         zap.AtomicLevel
	logFormat        string
}

func main() {
	settings, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(settings)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "temporal-dev:", err)
		os.Exit(1)
	}
}

// run serves until the process is told to stop, then lets every service finish and folds the
// write-ahead log into the database file.
func run(s *settings) error {
	if err := checkFree(s.ip, s.port); err != nil {
		return err
	}
	if !s.headless {
		if err := checkFree(s.uiIP, s.uiPort); err != nil {
			return err
		}
	}
	ctx, restoreSignals := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restoreSignals()

	logger, err := newLogger(s)
	if err != nil {
		return err
	}
	store, err := openStore(s)
	if err != nil {
		return err
	}
	defer store.close()
	for _, name := range s.namespaces {
		if err := store.ensureNamespace(ctx, logger, name, s.retention, s.searchAttributes); err != nil {
			return fmt.Errorf("namespace %q: %w", name, err)
		}
	}

	if store.isSQLite && !s.allIndexes {
		if err := store.indexWhatIsUsed(ctx, logger); err != nil {
			return fmt.Errorf("indexes of visibility: %w", err)
		}
	}

	server, err := newServer(s, store, logger)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	fmt.Printf("Temporal server %s: %s, %s\n", headers.ServerVersion, reachable(s.ip, s.port), store.description)
	if !s.headless {
		ui := uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
			Host:                bracketed(s.uiIP),
			Port:                s.uiPort,
			TemporalGRPCAddress: reachable(s.ip, s.port),
			EnableUI:            true,
			Codec:               uiconfig.Codec{Endpoint: s.codecEndpoint},
			CORS:                uiconfig.CORS{CookieInsecure: true},
			HideLogs:            true,
			DisableNewsFetch:    true,
		}))
		go func() { _ = ui.Start() }() // ends the process itself when it cannot listen
		defer ui.Stop()
		fmt.Printf("Web UI: http://%s\n", reachable(s.uiIP, s.uiPort))
	}

	<-ctx.Done()
	restoreSignals() // a second signal ends the process at once
	// Services that go one after the other miss each other: warnings of no use to anyone.
	s.logLevel.SetLevel(max(s.logLevel.Level(), zap.ErrorLevel))
	return server.Stop()
}

func openStore(s *settings) (*store, error) {
	if s.postgresURL != "" {
		return openPostgres(s.postgresURL)
	}
	return openSQLite(s.dbFile, s.pragmas)
}

func parse(args []string) (*settings, error) {
	if len(args) < 2 || args[0] != "server" || args[1] != "start-dev" {
		return nil, errors.New("usage: temporal-dev server start-dev [flags]   (--help lists them)")
	}
	s := &settings{
		namespaces:       []string{"default"},
		searchAttributes: map[string]enumspb.IndexedValueType{},
		// cache_size: 64 MiB, for indexes that the default of 2 MiB has no room for.
		pragmas:       map[string]string{"journal_mode": "WAL", "synchronous": "NORMAL", "cache_size": "-65536"},
		dynamicConfig: oneNodeConfig(),
		logLevel:      zap.NewAtomicLevelAt(zap.WarnLevel),
	}
	flags := flag.NewFlagSet("temporal-dev server start-dev", flag.ContinueOnError)
	flags.StringVar(&s.ip, "ip", "127.0.0.1", "`address` the server listens on")
	flags.IntVar(&s.port, "port", 7233, "`port` of the server")
	flags.BoolVar(&s.headless, "headless", false, "leave out the Web UI")
	flags.StringVar(&s.uiIP, "ui-ip", "", "`address` the Web UI listens on (default: that of the server)")
	flags.IntVar(&s.uiPort, "ui-port", 0, "`port` of the Web UI (default: the server's + 1000)")
	flags.StringVar(&s.codecEndpoint, "ui-codec-endpoint", "", "`URL` of a codec server that the Web UI decodes payloads with")
	flags.IntVar(&s.metricsPort, "metrics-port", 0, "`port` for Prometheus metrics (default: none)")
	flags.StringVar(&s.dbFile, "db-filename", "", "SQLite `file` that keeps the state (default: in memory)")
	flags.StringVar(&s.postgresURL, "postgres-url", "", "`URL` of a PostgreSQL database that keeps the state instead; its visibility goes to NAME_visibility")
	flags.DurationVar(&s.retention, "retention", 720*time.Hour, "how long closed workflows are kept; a namespace that has less is raised to it")
	flags.StringVar(&s.logFormat, "log-format", "text", "text, pretty or json")
	flags.Func("log-level", "debug, info, warn, error or never (default warn)", func(level string) error {
		if level == "never" {
			s.logLevel.SetLevel(zapcore.InvalidLevel) // above every other
			return nil
		}
		return s.logLevel.UnmarshalText([]byte(level))
	})
	flags.Func("namespace", "`name` of a namespace to create beside default; repeatable", func(name string) error {
		if !slices.Contains(s.namespaces, name) {
			s.namespaces = append(s.namespaces, name)
		}
		return nil
	})
	flags.Func("search-attribute", "`Name=Type` to register in each of these namespaces; repeatable", keyValue(func(name, kind string) error {
		for label, value := range enumspb.IndexedValueType_shorthandValue {
			if value != 0 && strings.EqualFold(label, kind) {
				s.searchAttributes[name] = enumspb.IndexedValueType(value)
				return nil
			}
		}
		return fmt.Errorf("no search attribute type %q", kind)
	}))
	flags.Func("sqlite-pragma", "`name=value`; repeatable (default: journal_mode=WAL synchronous=NORMAL cache_size=-65536)", keyValue(func(name, value string) error {
		s.pragmas[name] = value
		return nil
	}))
	flags.BoolVar(&s.allIndexes, "all-visibility-indexes", false, "leave SQLite's indexes of visibility as the server's schema has them: one for each column that a search attribute could take, used or not")
	flags.Func("dynamic-config-value", "`key=JSON` of the server's dynamic configuration; repeatable", keyValue(func(key, text string) error {
		value, err := configValue(text)
		s.dynamicConfig[dynamicconfig.MakeKey(key)] = value
		return err
	}))
	if err := flags.Parse(args[2:]); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if s.dbFile != "" && s.postgresURL != "" {
		return nil, errors.New("--db-filename and --postgres-url exclude each other")
	}
	if s.ip == "localhost" {
		s.ip = "127.0.0.1"
	}
	if s.uiIP == "" {
		s.uiIP = s.ip
	}
	if s.uiPort == 0 {
		s.uiPort = min(s.port+1000, 65535)
	}
	return s, nil
}

func keyValue(set func(key, value string) error) func(string) error {
	return func(text string) error {
		key, value, found := strings.Cut(text, "=")
		if !found || key == "" {
			return fmt.Errorf("want key=value, not %q", text)
		}
		return set(key, value)
	}
}

// configValue reads JSON with whole numbers as int, the only kind of whole number that dynamic
// configuration takes.
func configValue(text string) (any, error) {
	if number, err := strconv.Atoi(text); err == nil {
		return number, nil
	}
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return nil, fmt.Errorf("%q is not JSON: %w", text, err)
	}
	return value, nil
}

func checkFree(ip string, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}
