package browsertest

import (
	"context"
	"fmt"
	"sync"

	"github.com/chromedp/chromedp"
)

// chromium is the program that all tests of a package share while they run side by side: starting it takes longer than most of
// them. Each test has a browser context in it, with cookies and storage of its own. The last one to leave ends it.
var chromium process

type process struct {
	mu    sync.Mutex
	users int
	ctx   context.Context // chromedp's handle of a running browser
	end   context.CancelFunc
}

func (p *process) enter(ctx context.Context, program string) (browser context.Context, leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users == 0 {
		if err := p.start(ctx, program); err != nil {
			return nil, nil, err
		}
	}
	p.users++
	return p.ctx, p.leave, nil
}

func (p *process) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users == 0 {
		p.end()
	}
}

func (p *process) start(ctx context.Context, program string) error {
	allocator, endAllocator := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
		chromedp.NoSandbox, // the test may run as root, where Chromium has no sandbox; it opens pages of ours only
		chromedp.WSURLReadTimeout(stepTimeout),
		chromedp.Flag("hide-scrollbars", true),
		// A process for each test's pages is enough; one that is kept in reserve for every tab costs more than it saves.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,SpareRendererForSitePerProcess,AndroidWarmUpSpareRendererWithTimeout,MediaRouter,OptimizationHints"),
		chromedp.Flag("disable-component-update", true), chromedp.DisableGPU, chromedp.Flag("disable-site-isolation-trials", true), chromedp.Flag("renderer-process-limit", "2"),
		// A camera with a test pattern, which the person allows.
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
	)...)
	browser, endBrowser := chromedp.NewContext(allocator)
	p.ctx, p.end = browser, func() { endBrowser(); endAllocator() }
	if _, err := chromedp.Run(browser, chromedp.Evaluate[bool]("true")); err != nil {
		p.end()
		return fmt.Errorf("start Chromium: %w", err)
	}
	return nil
}
