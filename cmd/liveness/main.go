// Command liveness is the Liveness Detection API: every role of the product in one binary. It reads
// flags, builds the parts and joins them; no rule of the product stands here.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	_ "github.com/mattn/go-sqlite3" // named here to be compiled early: its C takes longer than anything else, and all would wait for it

	"github.com/pas-ta/liveness/inference/isolated"
)

// commandLine is the whole command line: one field, and one file of this folder, per command.
type commandLine struct {
	LogFormat string `help:"Log as text or json." enum:"text,json" default:"text" env:"LIVENESS_LOG_FORMAT"`
	LogLevel  string `help:"Least level that is logged." enum:"debug,info,warn,error" default:"info" env:"LIVENESS_LOG_LEVEL"`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version of the program and of its API, and end."`

	SecurityLog string `help:"Append the security log to this file, as JSON; without it its lines stand in the log." type:"path" env:"LIVENESS_SECURITY_LOG" placeholder:"FILE"`

	Dev          DevCmd          `cmd:"" help:"Run everything on this machine, with a demo customer."`
	Serve        ServeCmd        `cmd:"" help:"Answer requests: the API, the console, registration."`
	Work         WorkCmd         `cmd:"" help:"Follow the log: read models, mails, metering."`
	Node         NodeCmd         `cmd:"" help:"Run the embedded event store alone."`
	Awssim       AwssimCmd       `cmd:"" help:"Run the AWS simulator alone."`
	Check        CheckCmd        `cmd:"" help:"Judge image files from the shell."`
	Evaluate     EvaluateCmd     `cmd:"" help:"Measure on labelled pictures how well model packs judge."`
	Pack         PackCmd         `cmd:"" help:"Make model packs."`
	Events       EventsCmd       `cmd:"" help:"Print the event log, or follow it."`
	Projections  ProjectionsCmd  `cmd:"" help:"Look after the read models."`
	Mails        MailsCmd        `cmd:"" help:"Look after the mails to customers."`
	Customers    CustomersCmd    `cmd:"" help:"Find customers by what you have of them."`
	Subscription SubscriptionCmd `cmd:"" help:"Look after subscriptions that AWS does not list."`
	Metering     MeteringCmd     `cmd:"" help:"Look after the usage that is reported to AWS."`
	Usage        UsageCmd        `cmd:"" help:"Credit calls that were charged wrongly."`
	Audit        AuditCmd        `cmd:"" help:"Replay the log and prove its counts."`
	Transparency TransparencyCmd `cmd:"" help:"Print what was signed of the log, and the keys."`
	Erase        EraseCmd        `cmd:"" help:"Erase a customer's personal data on request."`
	Hold         HoldCmd         `cmd:"" help:"Keep personal data from being erased, for a dispute."`
	Search       SearchCmd       `cmd:"" help:"Search log, database and files for texts of a person who was erased."`
	Certificate  CertificateCmd  `cmd:"" help:"Show and check certificates of erasure."`
	Login        LoginCmd        `cmd:"" help:"Look after the logins of people."`
	Store        StoreCmd        `cmd:"" help:"Back up, verify and measure the embedded event store."`
	Secret       SecretCmd       `cmd:"" help:"Replace the secrets of the server while it runs."`
	Parts        PartsCmd        `cmd:"" help:"Fetch the native parts ahead of their first use."`
	Config       ConfigCmd       `cmd:"" help:"Print the configuration that commands would run with."`
	Version      VersionCmd      `cmd:"" help:"Print the version of the program and of its API."`
	Completion   CompletionCmd   `cmd:"" help:"Print what lets a shell complete the command line."`
	Complete     CompleteCmd     `cmd:"" hidden:""`
}

func main() {
	if isolated.IsWorker() {
		os.Exit(isolated.Serve(nil))
	}
	os.Exit(runProcess(os.Args[1:]))
}

// runProcess runs the program as the process that it is alone in.
func runProcess(args []string) int {
	if logFormat(args) != formatJSON {
		return run(args, os.Stdout, os.Stderr)
	}
	stderr, restore, err := takeStderr()
	if err != nil {
		return report(wording(os.Stderr, formatJSON, slog.LevelError), err)
	}
	defer restore()
	return run(args, os.Stdout, stderr)
}

func run(args []string, out, errOut io.Writer) int {
	ctx, stop := untilSignalled()
	defer stop()

	format := logFormat(args)
	said, failed := wording(errOut, format, slog.LevelInfo), wording(visible{errOut}, format, slog.LevelError)
	var commands commandLine
	exited := -1
	var unread unread
	parser, err := kong.New(&commands, append(unread.options(),
		kong.Name("liveness"),
		kong.Description("Tells a live face from a photo or a screen: API, console, event store node and the tools to run and audit them."),
		kong.UsageOnError(),
		kong.Vars{"version": versionLine()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(out, said),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)...)
	if err != nil {
		fmt.Fprintln(failed, "liveness:", err)
		return exitFailure
	}
	selected, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err = unread.explain(commandOf(selected, err), err); err != nil {
		fmt.Fprintf(failed, "liveness: %v\nRun \"liveness --help\" for the commands.\n", err)
		return exitUsage
	}
	app := &App{Out: visible{out}, Err: said, Log: newLogger(errOut, commands.LogFormat, commands.LogLevel), LogFormat: format}
	var closeSecurity func()
	if app.Security, closeSecurity, err = newSecurityLogger(newLogger(errOut, commands.LogFormat, "info"), commands.SecurityLog); err != nil {
		return report(failed, err)
	}
	defer closeSecurity()
	err = selected.Run(app, parser)
	app.noteOperatorCommand(ctx, selected, err)
	if err != nil {
		return report(failed, err)
	}
	return 0
}

// untilSignalled returns a context that ends when the program is asked to stop. Once it has ended SIGTERM and Ctrl-C have their usual
// effect: the second one ends the program at once, however soon it comes.
func untilSignalled() (ctx context.Context, stop func()) {
	ctx, end := context.WithCancel(context.Background())
	asked, hungUp := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants it ignored
		signal.Notify(hungUp, syscall.SIGHUP)
	}
	go func() {
		defer end()
		select {
		case <-asked:
		case <-hungUp:
		case <-ctx.Done():
		}
		signal.Stop(asked)
	}()
	return ctx, func() {
		end()
		signal.Stop(asked)
		signal.Stop(hungUp)
	}
}

// commandOf returns the command that a command line names, also when it was refused for something else; nil without one.
func commandOf(selected *kong.Context, refusal error) *kong.Node {
	if refused := (*kong.ParseError)(nil); errors.As(refusal, &refused) {
		selected = refused.Context
	}
	if selected == nil {
		return nil
	}
	return selected.Selected()
}
