package inference

// Issue is one thing that makes a face a poor base for a judgement.
type Issue struct {
	Code IssueCode
	// Message says what is wrong, with figures where there are any, and what to do for a better photo.
	Message string
}

// IssueCode names a kind of issue. The list is closed: callers may decide by it.
type IssueCode string

// The codes of all issues.
const (
	FaceTooSmall   IssueCode = "face_too_small"
	FaceTooClose   IssueCode = "face_too_close"
	FaceCutOff     IssueCode = "face_cut_off"
	FaceIncomplete IssueCode = "face_incomplete"
	TooDark        IssueCode = "too_dark"
	TooBright      IssueCode = "too_bright"
	Blurred        IssueCode = "blurred"
	NotFrontal     IssueCode = "not_frontal"
	NotUpright     IssueCode = "not_upright"
	NoColour       IssueCode = "no_colour"
	Bordered       IssueCode = "bordered"
	Inset          IssueCode = "picture_in_picture"
)

// IssueCodes returns all codes.
func IssueCodes() []IssueCode {
	return []IssueCode{FaceTooSmall, FaceTooClose, FaceCutOff, FaceIncomplete, TooDark, TooBright, Blurred, NotFrontal,
		NotUpright, NoColour, Bordered, Inset}
}
