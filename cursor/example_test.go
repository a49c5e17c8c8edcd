package cursor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/wellspring-go/sse/cursor"
)

func ExampleFile() {
	dir, err := os.MkdirTemp("", "cursor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	file := cursor.File(filepath.Join(dir, "feed.cursor")) // sse.Options{Cursor: file}

	id, err := file.Load(ctx)
	fmt.Printf("%q %v\n", id, err)
	fmt.Println(file.Save(ctx, "42"))
	id, err = file.Load(ctx)
	fmt.Printf("%q %v\n", id, err)
	// Output:
	// "" <nil>
	// <nil>
	// "42" <nil>
}

func ExampleMemory() {
	var memory cursor.Memory // sse.Options{Cursor: &memory}
	ctx := context.Background()
	fmt.Println(memory.Save(ctx, "42"))
	id, err := memory.Load(ctx)
	fmt.Println(id, err)
	// Output:
	// <nil>
	// 42 <nil>
}
