package domain

import (
	"maps"
	"slices"
)

// The reasons why a face cannot be relied on. The list is closed: what integrators show to their users depends on it, so a
// code never changes its meaning, and new ones are only added.
const (
	IssueFaceTooSmall   Issue = "face_too_small"
	IssueFaceTooClose   Issue = "face_too_close"
	IssueFaceCutOff     Issue = "face_cut_off"
	IssueFaceIncomplete Issue = "face_incomplete"
	IssueTooDark        Issue = "too_dark"
	IssueTooBright      Issue = "too_bright"
	IssueBlurred        Issue = "blurred"
	IssueNotFrontal     Issue = "not_frontal"
	IssueNotUpright     Issue = "not_upright"
	IssueNoColour       Issue = "no_colour"
	IssueBordered       Issue = "bordered"
	IssueInset          Issue = "picture_in_picture"
)

// advice says of each code what is wrong and what the person before the camera should do.
var advice = map[Issue]string{
	IssueFaceTooSmall:   "The face is too small. Move closer to the camera.",
	IssueFaceTooClose:   "The face fills the photo. Move back, so that there is room around the head.",
	IssueFaceCutOff:     "The face is cut off by the edge of the photo. Bring all of it into the frame.",
	IssueFaceIncomplete: "The face is covered or cut off. Show all of it, upright, with nothing in front.",
	IssueTooDark:        "The face is too dark. Find more light.",
	IssueTooBright:      "The face is too bright. Turn away from the light.",
	IssueBlurred:        "The face is blurred. Hold still, and wipe the lens.",
	IssueNotFrontal:     "The face is turned away. Look straight into the camera.",
	IssueNotUpright:     "The face does not stand upright. Hold head and camera straight.",
	IssueNoColour:       "The photo is greyscale or of a single hue. Take it in colour, without a filter.",
	IssueBordered:       "The photo has a border. Send it as the camera took it.",
	IssueInset:          "The face is in a picture within the photo. Take a photo of the person.",
}

// Message says what is wrong and what the person before the camera should do. A code that this program does not know, from
// an event that a newer one has written, gets a general one.
func (i Issue) Message() string {
	if text, known := advice[i]; known {
		return text
	}
	return "The face cannot be judged reliably. Take the photo again: one face, near, in good light, looking into the camera."
}

// KnownIssues lists the codes that have a message of their own.
func KnownIssues() []Issue { return slices.Sorted(maps.Keys(advice)) }
