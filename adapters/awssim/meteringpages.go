package awssim

import (
	"net/http"
)

// shownRecords is how many records the page lists; the JSON API has them all.
const shownRecords = 500

// monthTotal adds up what AWS bills for a licence and dimension in a month.
type monthTotal struct {
	LicenseARN, Dimension, Month string
	Records                      int
	Quantity                     int64
}

type meteringPage struct {
	License string
	Totals  []monthTotal
	Records []Record
	More    int
}

func (s *Sim) meteringRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /metering", func(w http.ResponseWriter, r *http.Request) {
		page := meteringPage{License: r.URL.Query().Get("license")}
		all, err := s.Records(r.Context(), RecordFilter{LicenseARN: page.License})
		if err != nil {
			s.renderProblem(w, r, err)
			return
		}
		page.Totals = monthTotals(all)
		page.Records = all[:min(len(all), shownRecords)]
		page.More = len(all) - len(page.Records)
		s.render(w, r, "metering", "metering", "Metering", http.StatusOK, page)
	})
}

// monthTotals sums records that are ordered by hour, newest first.
func monthTotals(records []Record) []monthTotal {
	var totals []monthTotal
	index := map[monthTotal]int{}
	for _, r := range records {
		key := monthTotal{LicenseARN: r.LicenseARN, Dimension: r.Dimension, Month: r.Hour.Format("2006-01")}
		i, known := index[key]
		if !known {
			i = len(totals)
			index[key] = i
			totals = append(totals, key)
		}
		totals[i].Records++
		totals[i].Quantity += r.Quantity
	}
	return totals
}
